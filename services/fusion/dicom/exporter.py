"""Makes the DICOM objects of finished jobs, keeps them, and stores them in the house's PACS where one is named.

As a webhook is delivered: due in the ledger, taken under a lease, tried again for more than a day. Objects made before
are sent again as they are; their UIDs are the job's, so a PACS that has them holds them once.
"""

import logging
import random
import secrets
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from services.fusion.archive import find
from services.fusion.dicom.pacs import Pacs
from services.fusion.rounds import Rounds
from services.fusion.settings import FusionSettings
from services.fusion.webhooks.ladder import after
from services.fusion.webhooks.sender import Answer
from shared.audit.event import AuditAction, event
from shared.blob_store import BlobStore
from shared.contracts import DeliveryAttempt, DeliveryOutcome, DeliveryState, JobView
from shared.dicom_results import KINDS, DicomResult
from shared.errors import BlobMissingError, ImageError, UnavailableError
from shared.ledger import Ledger
from shared.names import Blob, JobRef, blob_path
from shared.webhooks.log import StoredDelivery, keep

log = logging.getLogger(__name__)

#: A lease is longer than an attempt by this: objects are made first, and the blob store may be slow.
_LEASE_SLACK_S = 60.0
#: highdicom switches warnings off and on for the whole process.
_MAKING = threading.Lock()


class Exporter:
    """Exports what is due, `pacs_concurrency` jobs at once."""

    def __init__(
        self, settings: FusionSettings, ledger: Ledger, blobs: BlobStore, pacs: Pacs | None = None
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._blobs = blobs
        self._pacs = pacs or _named(settings)
        self._rounds = Rounds(
            "exports",
            ledger.exports,
            self.export,
            concurrency=settings.pacs_concurrency,
            interval_s=settings.reaper_interval_s,
        )

    def run(self, stop: threading.Event) -> None:
        """Export until told to stop."""
        self._rounds.run(stop)

    def export(self, ref: JobRef) -> None:
        """Make one attempt if it is due, and record it; MediScanError while ledger or blob store is away."""
        token = secrets.token_hex(8)
        lease_s = self._settings.pacs_timeout_s + _LEASE_SLACK_S
        held = self._ledger.exports.claim(ref, token=token, lease_s=lease_s)
        if held is None:
            return
        if held.delivery.state is DeliveryState.PENDING:
            job = find(ref, self._ledger, self._blobs)
            if job is None or not self._attempt(ref, job, token, held.tries + 1):
                self._ledger.exports.forget(ref, whatever_its_state=True)
                return
        self._archive(ref)

    def _attempt(self, ref: JobRef, job: JobView, token: str, tries: int) -> bool:
        """False where nothing is left to do: the objects are kept, and there is no PACS to send them to."""
        at, began = datetime.now(UTC), time.monotonic()
        answer = self._export(ref, job, is_first=tries == 1)
        if answer is None:
            return False
        duration_ms = round((time.monotonic() - began) * 1000, 3)
        attempt = DeliveryAttempt(
            at=at, outcome=answer.outcome, status=answer.status, duration_ms=duration_ms
        )
        state, wait_s = after(answer.outcome, tries, answer.retry_after_s, random.random)
        self._ledger.exports.record(ref, token, attempt, state, wait_s)
        said = {"job": ref, "status": answer.status}
        log.info("export: %s, now %s", answer.outcome, state, extra=said)
        return True

    def _export(self, ref: JobRef, job: JobView, *, is_first: bool) -> Answer | None:
        try:
            made = self._kept(ref) or self._make(ref, job)
        except UnavailableError:
            raise
        except Exception as error:
            # The same header gives the same again. What the error says may quote it; where it arose does not.
            log.error("export: objects cannot be made: %s", type(error).__name__, extra={"job": ref})  # noqa: TRY400
            return Answer(DeliveryOutcome.UNMADE)
        if self._pacs is None:
            return None
        chosen = [made[result] for result in self._settings.pacs_results if result in made]
        if not chosen:
            return None
        if is_first:
            # Nothing is told before it is recorded.
            exported = event(AuditAction.EXPORTED, "house", tenant=ref.tenant, job=ref.job_id)
            self._ledger.audit.append(exported.text())
        return self._pacs.store(chosen, f"mediscan-{ref.job_id}")

    def _kept(self, ref: JobRef) -> Mapping[DicomResult, bytes] | None:
        """What an earlier attempt made; None where it did not come so far."""
        found = {}
        for result, kind in KINDS.items():
            try:
                found[result] = self._blobs.get(blob_path(ref, kind.blob))
            except BlobMissingError:
                continue
        # The report is kept last.
        return found if DicomResult.SR in found else None

    def _make(self, ref: JobRef, job: JobView) -> Mapping[DicomResult, bytes]:
        # Imported at the first DICOM image: a house without any is spared 100 MB.
        from services.fusion.dicom.objects import objects  # noqa: PLC0415

        header = self._blobs.get(blob_path(ref, Blob.DICOM_HEADER))
        with _MAKING:
            made = objects(job, header, self._preview(ref))
        if DicomResult.SR not in made:
            raise ImageError("There is no report.")
        for result in sorted(made, key=lambda one: one is DicomResult.SR):
            self._blobs.put(blob_path(ref, KINDS[result].blob), made[result])
        return made

    def _preview(self, ref: JobRef) -> bytes | None:
        try:
            return self._blobs.get(blob_path(ref, Blob.PREVIEW))
        except BlobMissingError:
            return None  # the one object of a job that a power cut may take: no overlay then

    def _archive(self, ref: JobRef) -> None:
        """Once it has ended, the log goes to the blob store and out of the ledger. Safe to repeat."""
        held = self._ledger.exports.read(ref)
        if held is not None and held.delivery.state is not DeliveryState.PENDING:
            keep(self._blobs, ref, StoredDelivery(url=held.url, delivery=held.delivery))
            self._ledger.exports.forget(ref)


def _named(settings: FusionSettings) -> Pacs | None:
    if not settings.pacs_url:
        return None
    return Pacs(
        settings.pacs_url,
        user=settings.pacs_user,
        password=settings.pacs_password,
        token=settings.pacs_token,
        timeout_s=settings.pacs_timeout_s,
        ca_file=settings.pacs_ca_file,
    )
