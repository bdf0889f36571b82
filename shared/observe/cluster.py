"""From what ledger, broker and blob store say of themselves to one view of the house."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from celery import Celery

from shared import queue
from shared.blob_store import BlobStore
from shared.contracts import (
    BlobsView,
    ClusterView,
    MemoryView,
    ModelDrift,
    OfferedModel,
    QueueView,
    WorkersView,
)
from shared.errors import BlobStoreUnavailableError, BrokerUnavailableError
from shared.job_state import TERMINAL, JobState
from shared.ledger import House, Ledger
from shared.names import Stage


def look(ledger: Ledger, broker: Celery, blobs: BlobStore) -> ClusterView:
    """The house as of now; LedgerUnavailableError without a ledger, while the others may be away."""
    return view(ledger.house(), messages=_messages(broker), blobs=_blobs(blobs))


def view(house: House, *, messages: dict[Stage, int] | None, blobs: BlobsView) -> ClusterView:
    """Put it together. Pure."""
    counted = house.counters
    return ClusterView(
        at=datetime.fromtimestamp(house.at, tz=UTC),
        queues=tuple(
            QueueView(
                stage=lane.stage,
                priority=lane.priority,
                waiting=lane.waiting,
                claimed=lane.claimed,
                oldest_waiting_s=lane.oldest_waiting_s,
                oldest_claimed_s=lane.oldest_claimed_s,
            )
            for lane in house.lanes
        ),
        workers={
            stage: WorkersView(nodes=len(slots), slots=sum(slots)) for stage, slots in house.workers.items()
        },
        messages=messages,
        reaper_alive=house.reaper_alive,
        live_jobs=house.live_jobs,
        ended_last_minute=house.ended_last_minute,
        ended={state: counted.get(f"ended:{state}", 0) for state in JobState if state in TERMINAL},
        fallbacks=dict(_after("fallback:", counted)),
        rescued=_by_stage("rescued", counted),
        republished=_by_stage("republished", counted),
        late=_by_stage("late", counted),
        put_off=_by_stage("put_off", counted),
        dead_lettered=counted.get("dead_lettered", 0),
        dead_letters=house.dead_letters,
        lost=counted.get("lost", 0),
        webhooks_waiting=house.webhooks_waiting,
        gemini_circuit=house.circuit,
        ledger_memory=MemoryView(used_bytes=house.memory.used, limit_bytes=house.memory.limit),
        blobs=blobs,
        models=tuple(OfferedModel(id=name, is_default=name == house.default_model) for name in house.models),
        drift=tuple(ModelDrift.tolerant(text) for _, text in sorted(house.drift.items())),
    )


def _by_stage(what: str, counted: Mapping[str, int]) -> dict[Stage, int]:
    return {stage: counted.get(f"{what}:{stage}", 0) for stage in Stage}


def _after(prefix: str, counted: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    for name, count in sorted(counted.items()):
        if name.startswith(prefix):
            yield name.removeprefix(prefix), count


def _messages(broker: Celery) -> dict[Stage, int] | None:
    try:
        return queue.depths(broker)
    except BrokerUnavailableError:
        return None


def _blobs(blobs: BlobStore) -> BlobsView:
    try:
        return BlobsView(state="ok", free_bytes=blobs.free_bytes())
    except BlobStoreUnavailableError:
        return BlobsView(state="away", free_bytes=None)
