"""Alerts, dashboard and Prometheus' own configuration ask for what there is, and every alert has its line of advice."""

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.observability import FOLDER, alerts, dashboard, labels_of, metrics_of, queries
from tests.unit.docs.test_operate import PAGE, served

_ROOT = Path(__file__).parents[2]
_COMPOSE: dict[str, Any] = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())

#: Of the processes themselves, and what Prometheus adds.
_OTHERS = {"process_resident_memory_bytes"}
_OTHER_LABELS = {"le", "job", "service", "instance"}


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_a_query_asks_for_metrics_and_labels_that_there_are(query: str) -> None:
    known = served()
    asked = metrics_of(query)
    assert asked <= known.keys() | _OTHERS
    there = {label for name in asked for label in known.get(name, ())}
    assert labels_of(query) <= there | _OTHER_LABELS


def test_a_query_finds_something_to_ask_for() -> None:
    assert metrics_of('rate(mediscan_job_seconds_bucket{le="1"}[5m])') == {"mediscan_job_seconds"}
    assert labels_of('max by (stage, le) (x{state=~"a|b", y!="c"})') == {"stage", "le", "state", "y"}
    assert len(set(queries())) > 40


def test_every_alert_says_how_bad_it_is_what_it_means_and_what_to_do() -> None:
    runbook = PAGE.split("## Alerts")[1].split("\n## ")[0]
    for rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")
        assert f"| `{rule['alert']}` |" in runbook
    assert runbook.count("| `MediScan") == len(alerts())


def test_every_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_service_is_scraped_where_it_serves() -> None:
    [job] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    [found] = job["dns_sd_configs"]
    services = {
        name
        for name, service in _COMPOSE["services"].items()
        if "MEDISCAN_METRICS_PORT" in (service.get("environment") or {})
    }
    assert set(found["names"]) == services
    ports = {_COMPOSE["services"][name]["environment"]["MEDISCAN_METRICS_PORT"] for name in services}
    assert ports == {str(found["port"])}
    assert all("inside" in _COMPOSE["services"][name]["networks"] for name in ("prometheus", *services))


def test_the_profile_mounts_the_files_that_there_are() -> None:
    mounted = {
        (_ROOT / volume.split(":")[0]).resolve()
        for name in ("prometheus", "grafana")
        for volume in _COMPOSE["services"][name]["volumes"]
        if volume.startswith("./")
    }
    assert mounted == {path for path in FOLDER.rglob("*") if path.is_file()}
