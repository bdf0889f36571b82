"""Ids that callers chose, where they outlive the ledger: one small object each, as old as the job and no older.

The gateway reads them; the archive step writes them with the finished job, and whoever removes the job removes them.
"""

from typing import NamedTuple

from shared.blob_store import BlobStore
from shared.contracts import Message
from shared.errors import BlobMissingError
from shared.names import Blob, JobRef, blob_path, client_id_path, digest
from shared.stored_message import stored_message


class Archived(Message):
    """What a caller's id stands for."""

    job_id: str
    fingerprint: str


def erase(blobs: BlobStore, ref: JobRef) -> None:
    """Delete everything that a job has in the blob store, and free the id that its caller chose. Safe to repeat."""
    ClientIds(blobs).forget(ref)
    blobs.delete(*(blob_path(ref, blob) for blob in Blob))


class ClientIds(NamedTuple):
    """Over one blob store; BlobStoreUnavailableError from each method."""

    blobs: BlobStore

    def find(self, tenant: str, client_id: str) -> Archived | None:
        """The job, if it is archived or was."""
        return stored_message(self.blobs, client_id_path(tenant, digest(client_id)), Archived)

    def keep(self, ref: JobRef, client_id: str, fingerprint: str) -> None:
        """Remember it, first of all in the job's folder: what removes the job then knows what else to remove."""
        name = digest(client_id)
        self.blobs.put(blob_path(ref, Blob.CLIENT), name.encode())
        kept = Archived(job_id=ref.job_id, fingerprint=fingerprint)
        self.blobs.put(client_id_path(ref.tenant, name), kept.model_dump_json().encode())

    def forget(self, ref: JobRef) -> None:
        """Free the id, unless it stands for another job by now. The object in the job's folder is yours to delete."""
        try:
            path = client_id_path(ref.tenant, self.blobs.get(blob_path(ref, Blob.CLIENT)).decode())
            kept = Archived.tolerant(self.blobs.get(path))
        except BlobMissingError:
            return
        if kept.job_id == ref.job_id:
            self.blobs.delete(path)
