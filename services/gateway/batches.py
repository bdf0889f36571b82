"""A batch as its owner sees it: computed from its jobs each time, until all of them are over."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeVar

from services.gateway import lookup
from services.gateway.audited import audited, note_listed
from services.gateway.batch_store import Batch, BatchItem, BatchStore
from services.gateway.caller import Caller
from services.gateway.logic import check_batch_cancelled
from services.gateway.problems import as_problem
from services.gateway.resources import Resources
from shared.audit.event import AuditAction
from shared.contracts import BatchCounts, BatchLinks, BatchState, BatchView, JobView, Problem, RefusedItem
from shared.errors import NotFoundError
from shared.job_state import TERMINAL, JobState
from shared.names import BatchRef, JobRef, is_batch_id

T = TypeVar("T")

#: Jobs looked at in one call to the ledger, and jobs read, called off or erased in one turn of a thread.
_LOOKED_AT_ONCE = 500
_READ_AT_ONCE = 25

_LIVE = frozenset(JobState) - TERMINAL


def find(held: Resources, ref: BatchRef) -> Batch:
    """The batch as it is kept; NotFoundError where there is none, or it is somebody else's."""
    batch = BatchStore(held.blobs).find(ref) if is_batch_id(ref.batch_id) else None
    if batch is None:
        raise NotFoundError("There is no batch with this id.", code="unknown_batch")
    return batch


def view(held: Resources, ref: BatchRef) -> BatchView:
    """The batch as it stands; NotFoundError as for `find`."""
    return as_view(ref, batch := find(held, ref), _counts(held, ref, batch))


def as_view(ref: BatchRef, batch: Batch, counts: BatchCounts) -> BatchView:
    """Put together what is shown."""
    live = counts.queued + counts.running
    ended = BatchState.CANCELLED if batch.is_cancelled else BatchState.COMPLETED
    here = f"/v1/batches/{ref.batch_id}"
    return BatchView(
        id=ref.batch_id,
        state=BatchState.RUNNING if live else ended,
        counts=counts,
        progress=(counts.submitted - live) / max(1, counts.submitted),
        refused=tuple(
            RefusedItem(index=index, problem=item.problem)
            for index, item in enumerate(batch.items)
            if item.problem is not None
        ),
        links=BatchLinks(
            self=here,
            items=f"/v1/jobs?batch={ref.batch_id}",
            results=f"{here}/results.jsonl",
            cancel=f"{here}/cancel",
        ),
    )


def _counts(held: Resources, ref: BatchRef, batch: Batch) -> BatchCounts:
    store = BatchStore(held.blobs)
    if (known := store.counts(ref)) is not None:
        return known
    states: Counter[str] = Counter()
    for refs in _some(batch.jobs(ref.tenant), _LOOKED_AT_ONCE):
        found = lookup.states(held, refs)
        states.update(found.get(one, "erased") for one in refs)
    refused = sum(item.problem is not None for item in batch.items)
    counts = BatchCounts(submitted=len(batch.items), refused=refused, **_all_states(states))
    if not counts.queued + counts.running:
        store.keep_counts(ref, counts)
    return counts


def _all_states(found: Counter[str]) -> dict[str, int]:
    return {name: found[name] for name in (*JobState, "erased")}


def cancel(held: Resources, ref: BatchRef, who: Caller) -> BatchView:
    """Call off every job of it that is not over. Harmless to repeat; ConflictError where all had ended before."""
    batch, before = find(held, ref), view(held, ref)
    check_batch_cancelled(before.state)
    for job in batch.jobs(ref.tenant):
        held.ledger.cancel(job, audit=audited(AuditAction.CANCELLED, who.key_id, job))
    if not batch.is_cancelled:
        batch = BatchStore(held.blobs).keep_cancelled(ref, batch)
    return as_view(ref, batch, _counts(held, ref, batch))


def erase(held: Resources, ref: BatchRef, who: Caller) -> None:
    """Erase every job of it, and then the batch. Harmless to repeat; NotFoundError as for `find`."""
    for job in find(held, ref).jobs(ref.tenant):
        try:
            lookup.erase(held, job, audited(AuditAction.DELETED, who.key_id, job))
        except NotFoundError:
            continue  # erased before
    BatchStore(held.blobs).erase(ref)


async def results(held: Resources, ref: BatchRef, batch: Batch, who: Caller) -> AsyncIterator[bytes]:
    """A line of JSON for each item, in order, some at a time: its job as it stands, or why there is none.

    What they tell is recorded before.
    """
    for items in _some(batch.items, _READ_AT_ONCE):
        refs = [JobRef(ref.tenant, item.job_id) for item in items if item.job_id is not None]
        jobs = await held.run(lookup.find_many, held, refs)
        await note_listed(held, who, jobs.values())
        lines = [_line(ref, item, jobs).model_dump_json() for item in items]
        yield "".join(f"{line}\n" for line in lines).encode()


def _line(ref: BatchRef, item: BatchItem, jobs: dict[JobRef, JobView]) -> JobView | Problem:
    if item.job_id is None:
        return item.problem or as_problem(lookup.unknown_job())
    return jobs.get(JobRef(ref.tenant, item.job_id)) or as_problem(lookup.unknown_job())


def _some(things: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    return (things[at : at + most] for at in range(0, len(things), most))
