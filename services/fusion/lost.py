"""Notices that the ledger was emptied or replaced, and names the jobs that went with it.

The ledger and the blob store hold the same identity. Where they differ, accepted jobs may have been lost: of each
nothing is left but its image. They cannot go on by themselves, since what was asked for is gone too; the operator
finds them among the dead letters, and their images are kept until the sweep for orphans.
"""

import logging
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from services.fusion.retention import orphans
from shared.blob_store import BlobStore
from shared.errors import BlobMissingError
from shared.ledger import Ledger
from shared.names import LEDGER_IDENTITY, JobRef, is_tenant, job_seconds
from shared.settings import Settings

log = logging.getLogger(__name__)

#: Uploads that are under way when the loss is noticed are recorded by then, and are not lost.
_SETTLE_S = 10.0


class LedgerWatch:
    """Compares the two identities at each look of the reaper; one read of the ledger while nothing is wrong."""

    def __init__(
        self,
        ledger: Ledger,
        blobs: BlobStore,
        settings: Settings,
        *,
        settle_s: float = _SETTLE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._blobs = blobs
        self._settings = settings
        self._settle_s = settle_s
        self._clock = clock
        self._known: str | None = None
        self._noticed_at: float | None = None

    def look(self) -> None:
        """Adopt a new ledger, and after the loss of one report what was lost, once."""
        found = self._ledger.identity()
        if found is not None and found == self._known:
            return
        stored = self._stored()
        if stored is None or stored == found:
            self._adopt()
        elif self._noticed_at is None:
            self._noticed_at = self._clock()
            log.error("the ledger was emptied or replaced: looking for accepted jobs that are gone from it")
        elif self._clock() - self._noticed_at >= self._settle_s:
            self._report()

    def _report(self) -> None:
        lost = find_lost(self._ledger, self._blobs, self._settings, now=time.time())
        self._ledger.note_lost(lost)
        log.error("lost jobs: %d; `dead-letters` lists them", len(lost), extra={"count": len(lost)})
        self._adopt()

    def _adopt(self) -> None:
        identity = self._ledger.adopt_identity(secrets.token_hex(16))
        if identity != self._stored():
            self._blobs.put(LEDGER_IDENTITY, identity.encode())
        self._known, self._noticed_at = identity, None

    def _stored(self) -> str | None:
        try:
            return self._blobs.get(LEDGER_IDENTITY).decode()
        except BlobMissingError:
            return None


def find_lost(ledger: Ledger, blobs: BlobStore, settings: Settings, *, now: float) -> list[JobRef]:
    """Jobs younger than the deadline of which there is an image and nothing else. now: Unix s.

    An image whose upload was never answered with 202 is among them: nobody can tell.
    """
    oldest = now - settings.job_deadline_s
    oldest_hour = datetime.fromtimestamp(oldest, tz=UTC).strftime("%Y%m%d%H")
    return [
        ref
        for tenant in filter(is_tenant, blobs.folders())
        for hour in blobs.folders(tenant)
        if hour >= oldest_hour
        for ref in orphans(ledger, blobs, tenant, hour)
        if job_seconds(ref.job_id) >= oldest
    ]
