"""What is kept of a batch: which jobs it is made of and what was refused, one small object in the blob store.

Beside it, once all is over, how its jobs ended. Nothing of a batch is in the ledger but the name for its repetition.
"""

from typing import NamedTuple

from shared.blob_store import BlobStore
from shared.contracts import BatchCounts, Message, Problem
from shared.names import BatchBlob, BatchRef, JobRef, batch_path
from shared.stored_message import stored_message


class BatchItem(Message):
    """A job, or why there is none."""

    job_id: str | None = None
    problem: Problem | None = None


class Batch(Message):
    """A batch as it is kept."""

    #: SHA-256 over everything that the caller sent.
    fingerprint: str
    items: tuple[BatchItem, ...]
    #: The caller called it off.
    is_cancelled: bool = False

    def jobs(self, tenant: str) -> list[JobRef]:
        """Of its items that became one, in their order; two equal images may be one job."""
        return [JobRef(tenant, item.job_id) for item in self.items if item.job_id is not None]


class BatchStore(NamedTuple):
    """Over one blob store; BlobStoreUnavailableError from each method."""

    blobs: BlobStore

    def find(self, ref: BatchRef) -> Batch | None:
        """The batch, if there is one."""
        return stored_message(self.blobs, batch_path(ref, BatchBlob.ITEMS), Batch)

    def keep_new(self, ref: BatchRef, batch: Batch) -> Batch:
        """Keep it unless it is there already; the batch that there then is."""
        if self.blobs.put_new(batch_path(ref, BatchBlob.ITEMS), batch.model_dump_json().encode()):
            return batch
        return self.find(ref) or batch

    def keep_cancelled(self, ref: BatchRef, batch: Batch) -> Batch:
        """Note that it was called off."""
        cancelled = batch.model_copy(update={"is_cancelled": True})
        self.blobs.put(batch_path(ref, BatchBlob.ITEMS), cancelled.model_dump_json().encode())
        return cancelled

    def counts(self, ref: BatchRef) -> BatchCounts | None:
        """How its jobs ended, where that was found out since the last one ended."""
        return stored_message(self.blobs, batch_path(ref, BatchBlob.COUNTS), BatchCounts)

    def keep_counts(self, ref: BatchRef, counts: BatchCounts) -> None:
        """All are over: remember how. It can be made again, so the disk is not waited for."""
        self.blobs.put(batch_path(ref, BatchBlob.COUNTS), counts.model_dump_json().encode(), durable=False)

    def forget_counts(self, ref: BatchRef) -> None:
        """One of its jobs was erased."""
        self.blobs.delete(batch_path(ref, BatchBlob.COUNTS))

    def erase(self, ref: BatchRef) -> None:
        """Delete everything of the batch itself; its jobs are yours to erase before."""
        self.blobs.delete(*(batch_path(ref, blob) for blob in (BatchBlob.COUNTS, BatchBlob.ITEMS)))
