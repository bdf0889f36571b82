"""For the operator: the jobs that were given up, with why."""

from collections.abc import Iterator
from datetime import UTC, datetime

from services.fusion.archive import find
from shared.blob_store import BlobStore
from shared.ledger import Ledger
from shared.names import Blob, JobRef, blob_path


def lines(ledger: Ledger, blobs: BlobStore) -> Iterator[str]:
    """One line a dead letter, newest first: when, which job, error code, sentence."""
    for ref, at in ledger.dead_letters():
        when = datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="seconds")
        yield f"{when}  {ref}  {_why(ref, ledger, blobs)}"


def _why(ref: JobRef, ledger: Ledger, blobs: BlobStore) -> str:
    job = find(ref, ledger, blobs)
    if job is None and blobs.exists(blob_path(ref, Blob.IMAGE)):
        return "lost with the ledger: only its image is left, until the sweep for orphans"
    if job is None or job.error is None:
        return "no longer stored"
    return f"{job.error.code}: {job.error.detail}"
