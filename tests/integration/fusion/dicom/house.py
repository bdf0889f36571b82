"""A job over a DICOM image from its end to the PACS, the test being all workers."""

from pathlib import Path

from services.fusion.archive import archive
from services.fusion.dicom.exporter import Exporter
from services.fusion.settings import FusionSettings
from shared.audit.event import AuditAction, AuditEvent
from shared.blob_store import BlobStore
from shared.contracts import DicomSource, WebhookEvent
from shared.dicom_results import KINDS, DicomResult
from shared.ledger import Ledger
from shared.names import Blob, JobRef, Key, Stage, blob_path
from tests.support.dicom_jobs import CAM, preview
from tests.support.dicom_study import Slice, study
from tests.support.jobs import Jobs
from tests.support.samples import fused_result, gemini_reading, image_facts, ml_reading, new_job, new_ref


class House:
    """Ledger, blob store, and exporters as the test wants them."""

    def __init__(self, jobs: Jobs, folder: Path) -> None:
        self.jobs = jobs
        self.ledger: Ledger = jobs.ledger
        self.blobs = BlobStore.open(f"file://{folder}")

    def exporter(self, url: str = "", **settings: object) -> Exporter:
        """For a PACS at `url`."""
        chosen = FusionSettings.model_validate({"pacs_url": url, "pacs_timeout_s": 5, **settings})
        return Exporter(chosen, self.ledger, self.blobs)

    def archived(
        self, image: Slice | None = None, facts: DicomSource | None = None, **changed: object
    ) -> JobRef:
        """A job over a DICOM image that has come to its result; nothing is exported yet. changed: of the ML reading."""
        image = image or study()[1]
        known = image_facts(
            media_type="application/dicom",
            width=image.dataset.Columns,
            height=image.dataset.Rows,
            dicom=facts or image.facts,
        )
        ref = new_ref()
        self.ledger.create(ref, new_job(image=known))
        self.blobs.put(blob_path(ref, Blob.DICOM_HEADER), image.header)
        self.blobs.put(blob_path(ref, Blob.PREVIEW), preview())
        reading = ml_reading(cam=CAM, body_part=("BRAIN",), **changed)
        for stage, said in ((Stage.ML, reading), (Stage.GEMINI, gemini_reading())):
            self.ledger.settle(self.jobs.claim(ref, stage), said)
        finished = self.ledger.complete(self.jobs.claim(ref, Stage.FUSION), fused_result())
        assert finished
        archive(finished, self.ledger, self.blobs)
        return ref

    def again(self, ref: JobRef) -> None:
        """The export is due as if it had never been."""
        assert self.ledger.exports.add(ref, "", WebhookEvent.COMPLETED)

    def kept(self, ref: JobRef) -> dict[DicomResult, bytes]:
        """The objects in the blob store."""
        paths = {result: blob_path(ref, kind.blob) for result, kind in KINDS.items()}
        return {result: self.blobs.get(path) for result, path in paths.items() if self.blobs.exists(path)}

    def exported(self) -> list[tuple[str, str | None]]:
        """Who exported which job, as the audit trail has it."""
        _, texts = self.ledger.audit.waiting(100)
        found = [AuditEvent.model_validate_json(text) for text in texts]
        return [(one.key, one.job) for one in found if one.action is AuditAction.EXPORTED]

    def due_now(self, ref: JobRef) -> None:
        """Time passes: the pause, or a dead exporter's lease, is over."""
        self.jobs.redis.zadd(Key.EXPORTS, {str(ref): self.jobs.now() - 1}, xx=True)

    def is_forgotten(self, ref: JobRef) -> bool:
        """Whether the ledger knows nothing of the export any more."""
        return not self.jobs.redis.exists(Key.export(ref)) and not self.ledger.exports.due(10)
