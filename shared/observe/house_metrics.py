"""The house as Prometheus metrics, from the same view that `GET /v1/cluster` shows.

The reaper serves them, and nobody else does, so that a sum over processes counts nothing twice. Where two reapers run
both say the same: alerts and dashboard take the larger.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.contracts import CircuitState, ClusterView, DriftLevel
from shared.errors import LedgerUnavailableError

#: What is not here is 0.
_LEVELS = {DriftLevel.MODERATE: 1, DriftLevel.STRONG: 2}


class HouseCollector(Collector):
    """Looks whenever it is asked; without a ledger it says so and nothing else."""

    def __init__(self, look: Callable[[], ClusterView]) -> None:
        self._look = look

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that being registered asks nobody."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All of it, as of now."""
        try:
            view = self._look()
        except LedgerUnavailableError:
            yield _gauge("ledger_up", "Whether the ledger answers.", 0)
            return
        yield _gauge("ledger_up", "Whether the ledger answers.", 1)
        yield from families(view)


def families(view: ClusterView) -> Iterator[Metric]:
    """Every metric of the house. Pure."""
    yield from _queues(view)
    yield from _workers(view)
    yield from _ends(view)
    yield from _repairs(view)
    yield from _outside(view)
    yield from _drift(view)


def _queues(view: ClusterView) -> Iterator[Metric]:
    lanes = {(queue.stage, queue.priority): queue for queue in view.queues}
    labels = ("stage", "priority")
    yield _gauge(
        "queue_waiting", "Jobs that wait for a worker.", {k: q.waiting for k, q in lanes.items()}, *labels
    )
    yield _gauge(
        "queue_claimed",
        "Jobs that a worker holds under a lease.",
        {k: q.claimed for k, q in lanes.items()},
        *labels,
    )
    yield _gauge(
        "queue_oldest_seconds",
        "How long the first in line waits; 0 where nobody does.",
        {k: q.oldest_waiting_s or 0 for k, q in lanes.items()},
        *labels,
    )
    yield _gauge(
        "queue_oldest_claimed_seconds",
        "How long the longest held one is held; 0 where none is.",
        {k: q.oldest_claimed_s or 0 for k, q in lanes.items()},
        *labels,
    )
    if view.messages is not None:
        yield _gauge(
            "queue_messages", "Messages in the broker: hints, not jobs.", _keyed(view.messages), "stage"
        )
    yield _gauge("jobs_live", "Jobs that are not over.", view.live_jobs)


def _workers(view: ClusterView) -> Iterator[Metric]:
    workers = view.workers.items()
    yield _gauge(
        "worker_nodes", "Worker nodes heard of lately.", {(s,): w.nodes for s, w in workers}, "stage"
    )
    yield _gauge("worker_slots", "Jobs that they read at once.", {(s,): w.slots for s, w in workers}, "stage")
    yield _gauge("reaper_up", "Whether a reaper was heard of lately.", view.reaper_alive)
    models = {(model.id, str(model.is_default).lower()): 1 for model in view.models}
    yield _gauge("model_info", "The models that ML workers offer.", models, "model", "default")


def _ends(view: ClusterView) -> Iterator[Metric]:
    yield _counter("jobs_ended", "Jobs by how they ended.", _keyed(view.ended), "state")
    yield _counter(
        "fallbacks", "Results that rest on the ML reading alone, by reason.", _keyed(view.fallbacks), "reason"
    )
    yield _counter("jobs_lost", "Jobs that went with a lost ledger.", view.lost)


def _repairs(view: ClusterView) -> Iterator[Metric]:
    yield _counter("rescued", "Stages taken from a worker that died or hung.", _keyed(view.rescued), "stage")
    yield _counter(
        "republished", "Messages that were lost and published again.", _keyed(view.republished), "stage"
    )
    yield _counter("late", "Readings and results that came too late to matter.", _keyed(view.late), "stage")
    yield _counter(
        "put_off", "Stages given back while the blob store was away.", _keyed(view.put_off), "stage"
    )
    yield _counter("dead_lettered", "Jobs that were given up.", view.dead_lettered)
    yield _gauge("dead_letters", "Jobs that were given up and nobody has taken care of.", view.dead_letters)


def _outside(view: ClusterView) -> Iterator[Metric]:
    circuit = view.gemini_circuit
    states = {(state,): int(state is circuit.state) for state in CircuitState}
    yield _gauge(
        "gemini_circuit", "1 for the state of the circuit breaker in front of Gemini.", states, "state"
    )
    yield _gauge("gemini_circuit_retry_seconds", "Until Gemini may be asked again.", circuit.retry_in_s)
    yield _gauge("webhooks_waiting", "Webhooks that are to be sent.", view.webhooks_waiting)
    yield _gauge("ledger_memory_used_bytes", "Memory of the ledger's server.", view.ledger_memory.used_bytes)
    if view.ledger_memory.limit_bytes is not None:
        yield _gauge("ledger_memory_limit_bytes", "What it may use.", view.ledger_memory.limit_bytes)
    yield _gauge("blob_store_up", "Whether the blob store can be reached.", view.blobs.state == "ok")
    if view.blobs.free_bytes is not None:
        yield _gauge("blob_free_bytes", "What the blob store's disk has left.", view.blobs.free_bytes)


def _drift(view: ClusterView) -> Iterator[Metric]:
    measures = {(one.model, measure.name): measure for one in view.drift for measure in one.measures}
    observed = {key: m.observed for key, m in measures.items() if m.observed is not None}
    expected = {key: m.expected for key, m in measures.items() if m.expected is not None}
    psi = {key: m.psi for key, m in measures.items() if m.psi is not None}
    labels = ("model", "measure")
    yield _gauge("drift_observed", "Share of the last readings.", observed, *labels)
    yield _gauge("drift_expected", "The same share on the model's card.", expected, *labels)
    yield _gauge("drift_psi", "How far these are apart; 0.1 is moderate, 0.25 strong.", psi, *labels)
    levels = {key: _LEVELS.get(m.level, 0) for key, m in measures.items()}
    yield _gauge("drift_level", "0: none or too few readings, 1: moderate, 2: strong.", levels, *labels)
    yield _gauge(
        "drift_readings", "Readings that were looked at.", {(d.model,): d.n for d in view.drift}, "model"
    )


#: By the values of the labels: one number where there are none.
Values = float | Mapping[Any, float]


def _keyed(found: Mapping[Any, int]) -> dict[tuple[str, ...], float]:
    return {(name,): count for name, count in found.items()}


def _gauge(name: str, means: str, found: Values, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(f"mediscan_{name}", means, labels=labels), found)


def _counter(name: str, means: str, found: Values, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(f"mediscan_{name}", means, labels=labels), found)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, found: Values) -> Metric:
    for labels, value in found.items() if isinstance(found, Mapping) else (((), found),):
        family.add_metric([str(label) for label in labels], float(value))
    return family
