"""A submission becomes a job: image stored, job recorded, workers told. In this order and no other.

What is stored without a record is an orphan that a sweep removes; what is recorded without a message is
published by the reaper. Neither costs a job (docs/decisions/0001-ledger-is-the-truth.md).
"""

import logging
from contextlib import suppress
from dataclasses import dataclass, replace

from services.gateway.audited import audited
from services.gateway.logic import Submission, stages_to_publish, wanted_again
from services.gateway.repeats import answer, earlier, repeatable
from services.gateway.resources import Resources
from services.gateway.upload import ImageUpload
from services.gateway.wishes import resolve
from shared.audit.event import AuditAction, event
from shared.contracts import JobView
from shared.errors import (
    BlobMissingError,
    BlobStoreUnavailableError,
    BrokerUnavailableError,
    ConflictError,
    HouseFullError,
    LedgerRefusedError,
    MediScanError,
    TooManyError,
)
from shared.job_view import view
from shared.ledger import Admission, Alias, JobRecord, Known, NewJob, Repeatable
from shared.names import Blob, JobRef, Stage, blob_path
from shared.queue import publish

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Taken:
    """The job of a submission."""

    job: JobView
    #: Whether it was made for this one; otherwise it was there before.
    is_new: bool


@dataclass(frozen=True)
class _Arrival:
    """What is known of a submission before its body is."""

    ref: JobRef
    admitted: Admission
    alias: Alias | None
    #: The event to record with the job.
    audit: str


async def take_in(
    resources: Resources, ref: JobRef, upload: ImageUpload, admitted: Admission, alias: Alias | None = None
) -> Taken:
    """Receive, store and record one submission, unless it was there before: durable when this returns.

    alias: the name under which it may be repeated. ReusedError: the name stands for another submission.
    BadUploadError, TooLargeError and TooManyError leave nothing behind; UnavailableError: the caller may try again.
    """
    arrival = _Arrival(ref, admitted, alias, audited(AuditAction.SUBMITTED, admitted.limits.key_id, ref))
    head = await upload.begin()
    if upload.is_whole:
        return await resources.run(_keep, resources, arrival, await upload.finish(), head)
    await resources.blobs.put_stream(blob_path(ref, Blob.IMAGE), upload.chunks(head))
    if upload.submission is None:
        raise RuntimeError("the blob store ended before the image did")
    return await resources.run(_keep_streamed, resources, arrival, upload.submission)


def retry(resources: Resources, ref: JobRef, job: JobView, admitted: Admission) -> JobView:
    """Record a new job that asks for what `job` asked for, over a copy of its image: durable when this returns.

    ConflictError: the image is gone. Otherwise as `take_in`.
    """
    new = replace(resolve(resources, ref.tenant, wanted_again(job, resources.settings)), retry_of=job.id)
    path = blob_path(ref, Blob.IMAGE)
    try:
        image = resources.blobs.get_checked(
            blob_path(JobRef(ref.tenant, job.id), Blob.IMAGE), job.image.sha256
        )
        resources.blobs.put(path, image)
    except BlobMissingError as error:
        raise ConflictError("The image of this job is no longer here.", code="image_gone") from error
    except BlobStoreUnavailableError:
        _discard(resources, path)
        raise
    audit = event(
        AuditAction.RETRIED, admitted.limits.key_id, tenant=ref.tenant, job=ref.job_id, about=job.id
    )
    return _record(resources, _Arrival(ref, admitted, None, audit.text()), new, Repeatable()).job


def record(
    resources: Resources, ref: JobRef, new: NewJob, admitted: Admission, repeat: Repeatable
) -> JobView:
    """Record a job whose image is stored already, and tell the workers; the job that was there before, if one was.

    HouseFullError, TooManyError: a limit was reached since `admit`, and the image is gone again.
    """
    audit = audited(AuditAction.SUBMITTED, admitted.limits.key_id, ref)
    return _record(resources, _Arrival(ref, admitted, repeat.alias, audit), new, repeat).job


def _keep(resources: Resources, arrival: _Arrival, wanted: Submission, image: bytes) -> Taken:
    repeat = repeatable(wanted, arrival.alias)
    if job := earlier(resources, arrival.ref.tenant, repeat):
        return Taken(job, is_new=False)
    new = resolve(resources, arrival.ref.tenant, wanted)
    path = blob_path(arrival.ref, Blob.IMAGE)
    try:
        resources.blobs.put(path, image)
    except BlobStoreUnavailableError:
        _discard(resources, path)
        raise
    return _record(resources, arrival, new, repeat)


def _keep_streamed(resources: Resources, arrival: _Arrival, wanted: Submission) -> Taken:
    path = blob_path(arrival.ref, Blob.IMAGE)
    try:
        repeat = repeatable(wanted, arrival.alias)
        if job := earlier(resources, arrival.ref.tenant, repeat):
            _discard(resources, path)
            return Taken(job, is_new=False)
        new = resolve(resources, arrival.ref.tenant, wanted)
        resources.blobs.sync(path)
    except MediScanError:
        _discard(resources, path)
        raise
    return _record(resources, arrival, new, repeat)


def _discard(resources: Resources, path: str) -> None:
    with suppress(BlobStoreUnavailableError):
        resources.blobs.delete(path)


def _record(resources: Resources, arrival: _Arrival, new: NewJob, repeat: Repeatable) -> Taken:
    while isinstance(made := _create(resources, arrival, new, repeat), Known):
        job = _answer(resources, arrival.ref, repeat, made)
        if job is not None:
            return Taken(job, is_new=False)
        repeat = replace(repeat, gone=made.job_id)
    for stage in stages_to_publish(new.gemini_skipped):
        _tell_workers(resources, made, stage)
    return Taken(view(made), is_new=True)


def _create(resources: Resources, arrival: _Arrival, new: NewJob, repeat: Repeatable) -> JobRecord | Known:
    try:
        return resources.ledger.create_once(arrival.ref, new, repeat, arrival.admitted, audit=arrival.audit)
    except (HouseFullError, TooManyError, LedgerRefusedError):
        # The ledger answered, and said no. If instead nothing was heard, it may hold the job all the same: then
        # the image stays, for a recorded job may need it, and the sweep for orphans takes it if there is none.
        _discard(resources, blob_path(arrival.ref, Blob.IMAGE))
        raise


def _answer(resources: Resources, ref: JobRef, repeat: Repeatable, known: Known) -> JobView | None:
    # The earlier job has an image of its own; this one stays only where that job turns out to be gone.
    path = blob_path(ref, Blob.IMAGE)
    try:
        job = answer(resources, ref.tenant, repeat, known)
    except MediScanError:
        _discard(resources, path)
        raise
    if job is not None:
        _discard(resources, path)
    return job


def _tell_workers(resources: Resources, job: JobRecord, stage: Stage) -> None:
    try:
        publish(resources.queue, job.ref, stage, job.priority)
    except BrokerUnavailableError:
        # On purpose no error for the caller: the job is recorded, and the reaper publishes it.
        log.warning("not published, left to the reaper", extra={"job": job.ref, "stage": stage})
