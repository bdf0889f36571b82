"""The house as metrics: what a view says, under names that stay."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from shared.contracts import ClusterView
from shared.errors import LedgerUnavailableError
from shared.observe.house_metrics import HouseCollector
from tests.support.metrics import value
from tests.support.samples import cluster_view


def told(view: ClusterView) -> str:
    registry = CollectorRegistry()
    registry.register(HouseCollector(lambda: view))
    return generate_latest(registry).decode()


def test_queues_ends_and_repairs_are_told_by_their_labels() -> None:
    text = told(cluster_view(rescued={"ml": 2, "gemini": 0, "fusion": 0}))
    expected: Mapping[str, tuple[dict[str, str], float]] = {
        "mediscan_queue_waiting": ({"stage": "ml", "priority": "routine"}, 1180),
        "mediscan_queue_oldest_seconds": ({"stage": "ml", "priority": "routine"}, 138),
        "mediscan_queue_claimed": ({"stage": "gemini"}, 4),
        "mediscan_worker_slots": ({"stage": "fusion"}, 4),
        "mediscan_jobs_ended_total": ({"state": "completed"}, 12_000),
        "mediscan_fallbacks_total": ({"reason": "timeout"}, 3),
        "mediscan_rescued_total": ({"stage": "ml"}, 2),
        "mediscan_gemini_circuit": ({"state": "closed"}, 1),
        "mediscan_ledger_memory_limit_bytes": ({}, 512_000_000),
        "mediscan_ledger_up": ({}, 1),
    }
    for name, (labels, number) in expected.items():
        assert value(text, name, **labels) == number, name


def test_a_limit_that_is_none_is_not_told() -> None:
    without = cluster_view(
        ledger_memory={"used_bytes": 1, "limit_bytes": None},
        blobs={"state": "away", "free_bytes": None},
        messages=None,
    )
    text = told(without)
    for name in ("ledger_memory_limit_bytes", "blob_free_bytes", "queue_messages"):
        assert name not in text
    assert value(text, "mediscan_blob_store_up") == 0


def test_without_a_ledger_that_is_all_there_is() -> None:
    def look() -> ClusterView:
        raise LedgerUnavailableError("away")

    registry = CollectorRegistry()
    registry.register(HouseCollector(look))
    [family] = text_string_to_metric_families(generate_latest(registry).decode())
    assert (family.name, family.samples[0].value) == ("mediscan_ledger_up", 0)
