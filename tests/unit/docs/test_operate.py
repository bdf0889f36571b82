"""The page on operating names every metric and log field that there is, and none that there is not."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from shared.observe.house_metrics import HouseCollector
from shared.observe.meters import Meters
from shared.telemetry import FIELDS
from tests.support.samples import cluster_view

PAGE = (Path(__file__).parents[3] / "docs/operate.md").read_text()


def _own() -> list[Metric]:
    registry = CollectorRegistry()
    Meters(registry)
    return list(registry.collect())


def _of_the_house() -> list[Metric]:
    return list(HouseCollector(cluster_view).collect())


def _served_as(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def test_the_table_of_metrics_is_what_is_served() -> None:
    told = set(re.findall(r"^\| `(mediscan_\w+)", PAGE, re.MULTILINE))
    assert told == {_served_as(metric) for metric in (*_own(), *_of_the_house())}


def test_the_labels_in_the_table_are_those_that_are_served() -> None:
    told = dict(re.findall(r"^\| `(mediscan_\w+)\{([\w,]+)\}` \| reaper \|", PAGE, re.MULTILINE))
    for metric in _of_the_house():
        labels = {name for sample in metric.samples for name in sample.labels}
        assert labels == set(filter(None, told.get(_served_as(metric), "").split(","))), metric.name


def test_every_field_of_a_log_line_is_told() -> None:
    logs = PAGE.split("## Logs")[1].split("## Metrics")[0]
    assert set(FIELDS) <= set(re.findall(r"`(\w+)`", logs))
