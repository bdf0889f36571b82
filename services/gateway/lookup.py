"""Finds a job for its owner: live in the ledger, or finished long ago in the blob store."""

from services.gateway.resources import Resources
from shared.contracts import JobView
from shared.errors import BlobMissingError, NotFoundError
from shared.job_view import view
from shared.names import Blob, JobRef, blob_path, is_job_id


def reference(tenant: str, job_id: str) -> JobRef:
    """The job a path names; NotFoundError where its id is none that we ever gave out."""
    if not is_job_id(job_id):
        raise NotFoundError(
            "This is not a job id; one looks like job_ and 32 hex digits.", code="malformed_job_id"
        )
    return JobRef(tenant, job_id)


def find(resources: Resources, ref: JobRef) -> JobView:
    """The job as it stands; NotFoundError where neither ledger nor blob store has it."""
    job = resources.ledger.read(ref)
    return view(job) if job else _archived(resources, ref)


def cancel(resources: Resources, ref: JobRef, audit: str) -> JobView:
    """Call a job off unless it is over, and return it as it then stands; NotFoundError as for `find`.

    audit: the event that is recorded if this called it off.
    """
    job = resources.ledger.cancel(ref, audit=audit)
    return view(job) if job else _archived(resources, ref)


def _archived(resources: Resources, ref: JobRef) -> JobView:
    try:
        stored = resources.blobs.get(blob_path(ref, Blob.RECORD))
    except BlobMissingError as error:
        raise NotFoundError("There is no job with this id.", code="unknown_job") from error
    return JobView.model_validate_json(stored)
