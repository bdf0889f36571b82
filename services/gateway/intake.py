"""A submission becomes a job: image stored, job recorded, workers told. In this order and no other.

What is stored without a record is an orphan that a sweep removes; what is recorded without a message is
published by the reaper. Neither costs a job (docs/decisions/0001-ledger-is-the-truth.md).
"""

import logging
from contextlib import suppress

from services.gateway.logic import Submission, stages_to_publish
from services.gateway.resources import Resources
from services.gateway.upload import ImageUpload
from services.gateway.wishes import resolve
from shared.errors import BlobStoreUnavailableError, BrokerUnavailableError, MediScanError
from shared.ledger import JobRecord, NewJob
from shared.names import Blob, JobRef, Stage, blob_path
from shared.queue import publish

log = logging.getLogger(__name__)


async def take_in(resources: Resources, ref: JobRef, upload: ImageUpload) -> JobRecord:
    """Receive, store and record one submission: durable when this returns.

    BadUploadError and TooLargeError leave nothing behind; UnavailableError: the caller may try again.
    """
    head = await upload.begin()
    if upload.is_whole:
        return await resources.run(_keep, resources, ref, await upload.finish(), head)
    await resources.run(_check_ledger, resources, ref)
    await resources.blobs.put_stream(blob_path(ref, Blob.IMAGE), upload.chunks(head))
    if upload.submission is None:
        raise RuntimeError("the blob store ended before the image did")
    return await resources.run(_keep_streamed, resources, ref, upload.submission)


def _keep(resources: Resources, ref: JobRef, wanted: Submission, image: bytes) -> JobRecord:
    _check_ledger(resources, ref)
    new = resolve(resources, ref.tenant, wanted)
    path = blob_path(ref, Blob.IMAGE)
    try:
        resources.blobs.put(path, image)
    except BlobStoreUnavailableError:
        _discard(resources, path)
        raise
    return _record(resources, ref, new)


def _keep_streamed(resources: Resources, ref: JobRef, wanted: Submission) -> JobRecord:
    path = blob_path(ref, Blob.IMAGE)
    try:
        new = resolve(resources, ref.tenant, wanted)
        resources.blobs.sync(path)
    except MediScanError:
        _discard(resources, path)
        raise
    return _record(resources, ref, new)


def _check_ledger(resources: Resources, ref: JobRef) -> None:
    # A read costs no fsync. Without it, callers who retry during an outage would fill the disk with orphans.
    resources.ledger.read(ref)


def _discard(resources: Resources, path: str) -> None:
    with suppress(BlobStoreUnavailableError):
        resources.blobs.delete(path)


def _record(resources: Resources, ref: JobRef, new: NewJob) -> JobRecord:
    # If this raises, the ledger may hold the job all the same: the reply can be what was lost. So the image
    # stays, for a recorded job may need it, and the sweep for orphans takes it if there is no such job.
    job = resources.ledger.create(ref, new)
    for stage in stages_to_publish(new.gemini_skipped):
        _tell_workers(resources, job, stage)
    return job


def _tell_workers(resources: Resources, job: JobRecord, stage: Stage) -> None:
    try:
        publish(resources.queue, job.ref, stage, job.priority)
    except BrokerUnavailableError:
        # On purpose no error for the caller: the job is recorded, and the reaper publishes it.
        log.warning("not published, left to the reaper", extra={"job": str(job.ref), "stage": stage})
