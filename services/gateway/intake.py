"""A submission becomes a job: image stored, job recorded, workers told. In this order and no other.

What is stored without a record is an orphan that a sweep removes; what is recorded without a message is
published by the reaper. Neither costs a job (docs/decisions/0001-ledger-is-the-truth.md).
"""

import logging
from contextlib import suppress

from services.gateway.audited import audited
from services.gateway.logic import Submission, stages_to_publish
from services.gateway.resources import Resources
from services.gateway.upload import ImageUpload
from services.gateway.wishes import resolve
from shared.audit.event import AuditAction
from shared.errors import (
    BlobStoreUnavailableError,
    BrokerUnavailableError,
    HouseFullError,
    LedgerRefusedError,
    MediScanError,
    TooManyError,
)
from shared.ledger import Admission, JobRecord, NewJob
from shared.names import Blob, JobRef, Stage, blob_path
from shared.queue import publish

log = logging.getLogger(__name__)


async def take_in(resources: Resources, ref: JobRef, upload: ImageUpload, admitted: Admission) -> JobRecord:
    """Receive, store and record one submission: durable when this returns.

    BadUploadError, TooLargeError and TooManyError leave nothing behind; UnavailableError: the caller may try again.
    """
    head = await upload.begin()
    if upload.is_whole:
        return await resources.run(_keep, resources, ref, await upload.finish(), head, admitted)
    await resources.blobs.put_stream(blob_path(ref, Blob.IMAGE), upload.chunks(head))
    if upload.submission is None:
        raise RuntimeError("the blob store ended before the image did")
    return await resources.run(_keep_streamed, resources, ref, upload.submission, admitted)


def _keep(
    resources: Resources, ref: JobRef, wanted: Submission, image: bytes, admitted: Admission
) -> JobRecord:
    new = resolve(resources, ref.tenant, wanted)
    path = blob_path(ref, Blob.IMAGE)
    try:
        resources.blobs.put(path, image)
    except BlobStoreUnavailableError:
        _discard(resources, path)
        raise
    return _record(resources, ref, new, admitted)


def _keep_streamed(resources: Resources, ref: JobRef, wanted: Submission, admitted: Admission) -> JobRecord:
    path = blob_path(ref, Blob.IMAGE)
    try:
        new = resolve(resources, ref.tenant, wanted)
        resources.blobs.sync(path)
    except MediScanError:
        _discard(resources, path)
        raise
    return _record(resources, ref, new, admitted)


def _discard(resources: Resources, path: str) -> None:
    with suppress(BlobStoreUnavailableError):
        resources.blobs.delete(path)


def _record(resources: Resources, ref: JobRef, new: NewJob, admitted: Admission) -> JobRecord:
    try:
        job = resources.ledger.create(
            ref, new, admitted, audit=audited(AuditAction.SUBMITTED, admitted.limits.key_id, ref)
        )
    except (HouseFullError, TooManyError, LedgerRefusedError):
        # The ledger answered, and said no. If instead nothing was heard, it may hold the job all the same: then
        # the image stays, for a recorded job may need it, and the sweep for orphans takes it if there is none.
        _discard(resources, blob_path(ref, Blob.IMAGE))
        raise
    for stage in stages_to_publish(new.gemini_skipped):
        _tell_workers(resources, job, stage)
    return job


def _tell_workers(resources: Resources, job: JobRecord, stage: Stage) -> None:
    try:
        publish(resources.queue, job.ref, stage, job.priority)
    except BrokerUnavailableError:
        # On purpose no error for the caller: the job is recorded, and the reaper publishes it.
        log.warning("not published, left to the reaper", extra={"job": str(job.ref), "stage": stage})
