"""Writes a finished job to the blob store, where its result outlives Redis."""

from collections.abc import Sequence

from services.fusion import story
from shared.blob_store import BlobStore
from shared.client_ids import ClientIds
from shared.contracts import JobView, MlReading, WebhookEvent
from shared.job_view import view
from shared.ledger import JobRecord, LastReading, Ledger
from shared.names import Blob, JobRef, blob_path
from shared.stored_message import stored_message


def archive(job: JobRecord, ledger: Ledger, blobs: BlobStore) -> None:
    """Store the finished job as one JSON object, then let Redis keep it as a short cache. Safe to repeat.

    Every job that ends comes by here, and the first time its story is told.
    """
    archive_all([job], ledger, blobs)


def archive_all(jobs: Sequence[JobRecord], ledger: Ledger, blobs: BlobStore) -> None:
    """`archive` for many at the price of few: their folder is made durable once, and Redis asked once."""
    for job in jobs:
        if job.client_id is not None:
            ClientIds(blobs).keep(job.ref, job.client_id, job.fingerprint)
    blobs.put_all({blob_path(job.ref, Blob.RECORD): view(job).model_dump_json().encode() for job in jobs})
    for job in jobs:
        if job.image.dicom is not None and job.result is not None:
            # Before it counts as archived: whoever dies in between does it again.
            ledger.exports.add(job.ref, "", WebhookEvent.COMPLETED)
    first = ledger.archived_all({job.ref: _last_reading(job) for job in jobs})
    for job in jobs:
        if job.ref in first:
            story.tell(job)


def _last_reading(job: JobRecord) -> LastReading | None:
    return LastReading.of(job.ml) if isinstance(job.ml, MlReading) else None


def find(ref: JobRef, ledger: Ledger, blobs: BlobStore) -> JobView | None:
    """The job, live or archived; None where neither ledger nor blob store has it."""
    live = ledger.read(ref)
    return stored_message(blobs, blob_path(ref, Blob.RECORD), JobView) if live is None else view(live)
