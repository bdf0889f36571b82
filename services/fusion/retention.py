"""Removes what may no longer be kept, and what nobody owns.

Blobs lie in one folder per hour of submission (`shared.names.blob_path`), so nothing in Redis has to remember
millions of finished jobs: a folder older than the retention goes as a whole. An orphan is an image whose
upload never became a job: the gateway died in between. It is known by having no record and no ledger entry.
"""

from datetime import UTC, datetime

from shared.blob_store import BlobStore
from shared.client_ids import ClientIds
from shared.ledger import Ledger
from shared.names import BatchBlob, Blob, JobRef, is_job_id, is_tenant
from shared.settings import Settings

#: An upload may be this old before a missing job means that it has none.
_ORPHAN_AFTER_S = 3600.0
#: Orphans are looked for in this many hours before that.
_ORPHAN_HOURS = 3


def sweep(ledger: Ledger, blobs: BlobStore, settings: Settings, *, now: float) -> int:
    """Delete expired folders and recent orphans of every tenant; the number of objects deleted. now: Unix s."""
    ledger.forget_dead_letters(older_than_s=settings.retention_s)
    oldest_kept = _hour(now - settings.retention_s)
    orphan_hours = {_hour(now - _ORPHAN_AFTER_S - 3600 * back) for back in range(1, _ORPHAN_HOURS + 1)}
    removed = 0
    for tenant in filter(is_tenant, blobs.folders()):
        for hour in blobs.folders(tenant):
            folder = f"{tenant}/{hour}"
            if hour < oldest_kept:
                removed += _delete(blobs, tenant, blobs.paths(folder)) + blobs.drop_half_written(folder)
                blobs.drop_folder(folder)
            elif hour in orphan_hours:
                found = orphans(ledger, blobs, tenant, hour)
                removed += _delete(blobs, tenant, [path for own in found.values() for path in own])
                removed += _delete(blobs, tenant, _unread_archives(blobs, folder))
                removed += blobs.drop_half_written(folder)
    return removed


def orphans(ledger: Ledger, blobs: BlobStore, tenant: str, hour: str) -> dict[JobRef, list[str]]:
    """The objects in this hour's folder by job, of those jobs that have neither a record nor a ledger entry."""
    by_job: dict[JobRef, list[str]] = {}
    for path in blobs.paths(f"{tenant}/{hour}"):
        if is_job_id(_job_id(path)):
            by_job.setdefault(JobRef(tenant, _job_id(path)), []).append(path)
    unrecorded = [ref for ref, own in by_job.items() if not any(p.endswith(f".{Blob.RECORD}") for p in own)]
    known = ledger.holds(unrecorded)
    return {ref: by_job[ref] for ref in unrecorded if ref not in known}


def _unread_archives(blobs: BlobStore, folder: str) -> list[str]:
    """Zips of batches whose gateway died while it read them."""
    return [path for path in blobs.paths(folder) if path.endswith(f".{BatchBlob.ARCHIVE}")]


def _delete(blobs: BlobStore, tenant: str, paths: list[str]) -> int:
    for path in paths:
        if path.endswith(f".{Blob.CLIENT}"):
            ClientIds(blobs).forget(JobRef(tenant, _job_id(path)))
    blobs.delete(*paths)
    return len(paths)


def _job_id(path: str) -> str:
    return path.rsplit("/", 1)[-1].split(".", 1)[0]


def _hour(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y%m%d%H")
