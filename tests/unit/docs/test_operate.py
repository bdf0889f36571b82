"""The page on operating names every metric and log field that there is, and none that there is not."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from shared.observe.house_metrics import HouseCollector
from shared.observe.meters import Meters
from shared.telemetry import FIELDS
from tests.support.samples import cluster_view

PAGE = (Path(__file__).parents[3] / "docs/operate.md").read_text()


def _of_the_house() -> list[Metric]:
    return list(HouseCollector(cluster_view).collect())


def _served_as(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def served() -> dict[str, set[str]]:
    """Every metric of ours, with its labels."""
    registry = CollectorRegistry()
    own = [value for value in vars(Meters(registry)).values() if isinstance(value, MetricWrapperBase)]
    found = {
        f"{one._name}_total" if one._type == "counter" else one._name: set(one._labelnames) for one in own
    }
    for metric in _of_the_house():
        found[_served_as(metric)] = {name for sample in metric.samples for name in sample.labels}
    return found


def test_the_table_of_metrics_is_what_is_served() -> None:
    told = set(re.findall(r"^\| `(mediscan_\w+)", PAGE, re.MULTILINE))
    assert told == served().keys()


def test_the_labels_in_the_table_are_those_that_are_served() -> None:
    told = re.findall(r"^\| `(mediscan_\w+)(?:\{([\w,]+)\})?` \|", PAGE, re.MULTILINE)
    assert {name: set(filter(None, labels.split(","))) for name, labels in told} == served()


def test_every_field_of_a_log_line_is_told() -> None:
    logs = PAGE.split("## Logs")[1].split("## Metrics")[0]
    assert set(FIELDS) <= set(re.findall(r"`(\w+)`", logs))
