"""A tenant's jobs, newest first, page by page: from the blob store's folders, which hold something of every job.

A job's image is in the folder of its hour before the job is in the ledger, and its record is there before it leaves the
ledger. So the names in the folders are all jobs there are, in the order of their ids, and nothing in Redis remembers a
finished one. The id is the cursor too: a job that moves from ledger to archive between two pages keeps its place.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from services.gateway import batches
from services.gateway.job_filter import JobFilter
from services.gateway.lookup import find_many
from services.gateway.resources import Resources
from shared.blob_store import BlobStore
from shared.contracts import JobPage, JobView
from shared.errors import CallerError
from shared.names import BatchRef, JobRef, first_job_id, first_job_id_of, is_job_id, job_hour

#: A page is handed out, however few jobs it holds, once so many were looked at, or after so many seconds.
_MOST_LOOKED_AT = 1000
_MOST_S = 2.0
#: Jobs read at once.
_AT_ONCE = 25


@dataclass
class _Page:
    """One page being filled."""

    limit: int
    items: list[JobView] = field(default_factory=list)
    looked_at: int = 0
    #: Every job from this id on has been looked at.
    down_to: str = ""
    give_up: float = field(default_factory=lambda: time.monotonic() + _MOST_S)

    def look_at(self, job_id: str, job: JobView | None, wanted: JobFilter) -> None:
        """Take the job in, if it is one and belongs here."""
        self.looked_at += 1
        self.down_to = job_id
        if job is not None and wanted.admits(job):
            self.items.append(job)

    @property
    def is_full(self) -> bool:
        return len(self.items) >= self.limit

    @property
    def is_done(self) -> bool:
        return self.is_full or self.looked_at >= _MOST_LOOKED_AT or time.monotonic() >= self.give_up


@dataclass(frozen=True)
class _Step:
    """Some ids, newest first, and the id down to which all have been looked at once these have."""

    ids: Sequence[str]
    down_to: str


def page(held: Resources, tenant: str, wanted: JobFilter, limit: int, cursor: str | None) -> JobPage:
    """Up to `limit` jobs after `cursor`, and where to go on, also where a long look found few.

    NotFoundError where the batch is none of the tenant's; CallerError (422) for a cursor that is none of ours.
    """
    filled = _Page(limit)
    start = _start(wanted, cursor)
    if wanted.batch_id is None:
        steps = _steps(held.blobs, tenant, wanted, start)
    else:
        steps = _steps_of(batches.find(held, BatchRef(tenant, wanted.batch_id)).jobs(tenant), start)
    for step in steps:
        is_whole = _look_through(filled, held, tenant, wanted, step)
        if filled.is_done:
            is_last = is_whole and next(steps, None) is None
            return JobPage(items=tuple(filled.items), next_cursor=None if is_last else filled.down_to)
    return JobPage(items=tuple(filled.items), next_cursor=None)


def _look_through(filled: _Page, held: Resources, tenant: str, wanted: JobFilter, step: _Step) -> bool:
    """Whether all of the step fitted in."""
    jobs = find_many(held, [JobRef(tenant, job_id) for job_id in step.ids]) if step.ids else {}
    for job_id in step.ids:
        if filled.is_full:
            return False
        filled.look_at(job_id, jobs.get(JobRef(tenant, job_id)), wanted)
    filled.down_to = step.down_to
    return True


def _steps(blobs: BlobStore, tenant: str, wanted: JobFilter, start: str) -> Iterator[_Step]:
    """Everything that may belong into the list before the id `start`; each folder at least one step."""
    oldest = first_job_id(wanted.oldest_s)
    for hour in reversed(blobs.folders(tenant)):
        if job_hour(oldest) <= hour <= job_hour(start):
            ids = [job_id for job_id in _ids(blobs, tenant, hour) if oldest <= job_id < start]
            chunks = [ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE)] or [[]]
            yield from (_Step(some, some[-1]) for some in chunks[:-1])
            yield _Step(chunks[-1], first_job_id_of(hour))


def _steps_of(refs: Sequence[JobRef], start: str) -> Iterator[_Step]:
    """The jobs of a batch, each once."""
    ids = sorted({ref.job_id for ref in refs if ref.job_id < start}, reverse=True)
    return (
        _Step(ids[at : at + _AT_ONCE], ids[at : at + _AT_ONCE][-1]) for at in range(0, len(ids), _AT_ONCE)
    )


def _ids(blobs: BlobStore, tenant: str, hour: str) -> list[str]:
    """Of every job that has an object in this folder, newest first."""
    found = {name.partition(".")[0] for name in blobs.names(f"{tenant}/{hour}")}
    return sorted(filter(is_job_id, found), reverse=True)


def _start(wanted: JobFilter, cursor: str | None) -> str:
    if cursor is not None and not is_job_id(cursor):
        raise CallerError("This is no cursor of an earlier page.", code="bad_cursor", status=422)
    newest = first_job_id(wanted.newest_s)
    return newest if cursor is None else min(newest, cursor)
