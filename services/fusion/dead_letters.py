"""For the operator: the jobs that were given up, with why."""

from collections.abc import Iterator
from datetime import UTC, datetime

from shared.blob_store import BlobStore
from shared.contracts import JobView
from shared.errors import BlobMissingError
from shared.job_view import view
from shared.ledger import Ledger
from shared.names import Blob, JobRef, blob_path


def lines(ledger: Ledger, blobs: BlobStore) -> Iterator[str]:
    """One line a dead letter, newest first: when, which job, error code, sentence."""
    for ref, at in ledger.dead_letters():
        when = datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="seconds")
        yield f"{when}  {ref}  {_why(ref, ledger, blobs)}"


def _why(ref: JobRef, ledger: Ledger, blobs: BlobStore) -> str:
    job = _job(ref, ledger, blobs)
    if job is None and blobs.exists(blob_path(ref, Blob.IMAGE)):
        return "lost with the ledger: only its image is left, until the sweep for orphans"
    if job is None or job.error is None:
        return "no longer stored"
    return f"{job.error.code}: {job.error.detail}"


def _job(ref: JobRef, ledger: Ledger, blobs: BlobStore) -> JobView | None:
    live = ledger.read(ref)
    if live is not None:
        return view(live)
    try:
        return JobView.model_validate_json(blobs.get(blob_path(ref, Blob.RECORD)))
    except BlobMissingError:
        return None
