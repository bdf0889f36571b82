"""Finds a job for its owner: live in the ledger, or finished long ago in the blob store."""

from collections.abc import Sequence

from services.gateway.batch_store import BatchStore
from services.gateway.resources import Resources
from shared import client_ids
from shared.client_ids import ClientIds
from shared.contracts import JobView
from shared.errors import NotFoundError
from shared.job_state import JobState
from shared.job_view import view
from shared.ledger import Alias, AliasKind
from shared.names import BatchRef, Blob, JobRef, blob_path, is_client_id, is_job_id
from shared.stored_message import stored_message


def reference(resources: Resources, tenant: str, name: str) -> JobRef:
    """The job a path names, by our id or the caller's own; NotFoundError where it can be neither, or is not known."""
    if ref := own_reference(tenant, name):
        return ref
    found = resources.ledger.known(tenant, Alias(AliasKind.CLIENT, name))
    if found is not None:
        return JobRef(tenant, found[0])
    kept = ClientIds(resources.blobs).find(tenant, name)
    if kept is None:
        raise unknown_job()
    return JobRef(tenant, kept.job_id)


def own_reference(tenant: str, name: str) -> JobRef | None:
    """The job, where `name` is an id of ours; None where it may be a caller's own. NotFoundError: it is neither."""
    if is_job_id(name):
        return JobRef(tenant, name)
    if is_client_id(name):
        return None
    raise NotFoundError(
        "This is not a job id; one looks like job_ and 32 hex digits.", code="malformed_job_id"
    )


def find(resources: Resources, ref: JobRef) -> JobView:
    """The job as it stands; NotFoundError where neither ledger nor blob store has it."""
    job = resources.ledger.read(ref)
    return view(job, resources.ledger.position(job)) if job else _archived(resources, ref)


def look(resources: Resources, ref: JobRef) -> JobView:
    """`find` for who waits: its place in line, which costs another round trip, is left out."""
    job = resources.ledger.read(ref)
    return view(job) if job else _archived(resources, ref)


def find_many(resources: Resources, refs: Sequence[JobRef]) -> dict[JobRef, JobView]:
    """Those of `refs` that ledger or blob store has, as they stand.

    The ledger is asked first: what has left it is in the blob store by then, so that no job is missed on its way.
    """
    live = resources.ledger.read_many(refs)
    found = {ref: view(job) for ref, job in live.items()}
    absent = [ref for ref in refs if ref not in found]
    erased = resources.ledger.erased(absent)
    for ref in absent:
        if ref not in erased and (stored := _stored(resources, ref)):
            found[ref] = stored
    return found


def states(resources: Resources, refs: Sequence[JobRef]) -> dict[JobRef, JobState]:
    """As `find_many`, of each job only how it stands."""
    found = resources.ledger.states(refs)
    ended = find_many(resources, [ref for ref in refs if ref not in found])
    return found | {ref: job.state for ref, job in ended.items()}


def cancel(resources: Resources, ref: JobRef, audit: str) -> JobView:
    """Call a job off unless it is over, and return it as it then stands; NotFoundError as for `find`.

    audit: the event that is recorded if this called it off.
    """
    job = resources.ledger.cancel(ref, audit=audit)
    return view(job) if job else _archived(resources, ref)


def erase(resources: Resources, ref: JobRef, audit: str) -> None:
    """Erase a job, called off if it runs, with everything that is kept of it; NotFoundError as for `find`.

    audit: the event that is recorded if there was something to erase. What an earlier attempt left goes in any case.
    """
    try:
        job = find(resources, ref)
    except NotFoundError:
        client_ids.erase(resources.blobs, ref)
        raise
    resources.ledger.erase(ref, job.image, job.model, audit=audit)
    if job.image.dicom is not None:
        resources.ledger.exports.forget(ref, whatever_its_state=True)
    client_ids.erase(resources.blobs, ref)
    if job.batch_id is not None:
        BatchStore(resources.blobs).forget_counts(BatchRef(ref.tenant, job.batch_id))


def _archived(resources: Resources, ref: JobRef) -> JobView:
    stored = None if resources.ledger.is_erased(ref) else _stored(resources, ref)
    if stored is None:
        raise unknown_job()
    return stored


def _stored(resources: Resources, ref: JobRef) -> JobView | None:
    return stored_message(resources.blobs, blob_path(ref, Blob.RECORD), JobView)


def unknown_job() -> NotFoundError:
    """The one answer about a job that is not here, whatever the reason."""
    return NotFoundError("There is no job with this id.", code="unknown_job")
