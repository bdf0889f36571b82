"""The ML task: claim -> fetch -> read -> keep the preview -> settle.

Where the other reading is settled already, fusion is told. Where none was ever asked for, there is nothing to join:
the result is decided here, and stored in the same step (docs/decisions/0007-one-reader-needs-no-join.md).
"""

from typing import Any

from celery import Celery
from celery.signals import worker_process_init

from services.ml_worker.installed import InstalledModels
from services.ml_worker.reader import Reader
from services.ml_worker.settings import MlWorkerSettings
from shared.contracts import (
    FusedResult,
    JobError,
    MlReading,
    SkippedReading,
    UnavailableReading,
    UnavailableReason,
)
from shared.errors import BlobMissingError, ImageError, MediScanError, ModelMissingError
from shared.fusion.logic import FusionPolicy, fuse
from shared.ledger import Claim
from shared.names import Blob, Stage, Task, blob_path
from shared.worker import Resources, log_late, settle, work_on

_REASONS = {"modality_mismatch": UnavailableReason.MODALITY_MISMATCH}


def register(app: Celery, settings: MlWorkerSettings, installed: InstalledModels) -> None:
    """Make the task known to `app`, and have each child load the model before its first job."""
    resources = Resources(app, settings)
    reader = Reader(installed, settings)
    limit, policy = settings.ml_time_limit_s, settings.policy

    def load_model(**_: object) -> None:
        reader.warm_up()

    worker_process_init.connect(load_model, weak=False)

    @app.task(name=Task.ML_READ, bind=True, soft_time_limit=limit * 0.8, time_limit=limit)  # type: ignore[untyped-decorator]
    def read(task: Any, job: str) -> None:
        work_on(
            resources, Stage.ML, job, task.request.id, lambda claim: _read(resources, reader, policy, claim)
        )


def _read(resources: Resources, reader: Reader, policy: FusionPolicy, claim: Claim) -> None:
    job = claim.job
    try:
        data = resources.blobs.get_checked(job.image_path, job.image.sha256)
        found = reader.read(data, wish=job.model, source=job.image.dicom)
    except (ImageError, BlobMissingError) as error:
        reason = _REASONS.get(error.code, UnavailableReason.IMAGE_UNREADABLE)
        _fail(resources, claim, error, reason)
        return
    except ModelMissingError as error:
        _fail(resources, claim, error, UnavailableReason.MODEL_NOT_INSTALLED)
        return
    resources.blobs.put(blob_path(job.ref, Blob.PREVIEW), found.preview, durable=False)
    if found.header is not None:
        resources.blobs.put(blob_path(job.ref, Blob.DICOM_HEADER), found.header.encode())
    if isinstance(job.gemini, SkippedReading):
        _conclude(resources, claim, found.reading, fuse(found.reading, job.gemini, policy, job.prior))
    else:
        settle(resources, claim, found.reading)


def _conclude(resources: Resources, claim: Claim, reading: MlReading, result: FusedResult) -> None:
    if not resources.ledger.conclude(claim, reading, result):
        log_late()


def _fail(resources: Resources, claim: Claim, error: MediScanError, reason: UnavailableReason) -> None:
    """End the job here: another try would meet the same bytes and the same models."""
    problem = JobError(code=error.code, detail=error.detail)
    resources.ledger.fail(claim, problem, UnavailableReading(reason=reason, detail=error.detail))
