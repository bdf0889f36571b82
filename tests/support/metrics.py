"""Scrapes every process of a cluster, as Prometheus would."""

import re
from collections.abc import Iterator

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from embedded.layout import SERVICES
from tests.support.cluster import Cluster
from tests.support.waiting import wait_until

_ADDRESS = re.compile(r"metrics at (http://[\w.:]+/metrics)")


def scrape(cluster: Cluster, name: str) -> str:
    """What a process started with MEDISCAN_METRICS_PORT=0 serves."""
    found = wait_until(lambda: _ADDRESS.findall(cluster.log(name).read_text()), timeout_s=30, what="metrics")
    assert found
    answer = httpx.get(found[-1], timeout=30)
    assert answer.status_code == 200
    return answer.text


def scrape_all(cluster: Cluster) -> dict[str, str]:
    """Of every service."""
    return {name: scrape(cluster, name) for name in SERVICES}


def samples(text: str) -> Iterator[Sample]:
    """One by one."""
    for family in text_string_to_metric_families(text):
        yield from family.samples


def value(text: str, name: str, **labels: str) -> float:
    """The sum of a metric over whatever labels are not named."""
    return sum(
        one.value for one in samples(text) if one.name == name and labels.items() <= one.labels.items()
    )
