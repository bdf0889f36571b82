"""The files of `deploy/observability/` as data, and which metrics their queries ask for."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

FOLDER = Path(__file__).parents[2] / "deploy" / "observability"
RULES = FOLDER / "alerts.yml"

_METRIC = re.compile(r"\b(?:mediscan|process)_\w+")
_PARTS = re.compile(r"_(bucket|sum|count)$")
_MATCHED = re.compile(r'(\w+)\s*(?:=~|!=|!~|=)\s*"')
_GROUPED = re.compile(r"by \(([\w, ]+)\)")


def alerts() -> list[dict[str, Any]]:
    """Every rule."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """As Grafana reads it."""
    found = json.loads((FOLDER / "grafana" / "mediscan.json").read_text())
    assert isinstance(found, dict)
    return found


def queries() -> Iterator[str]:
    """Every expression of alerts and dashboard."""
    yield from (str(rule["expr"]) for rule in alerts())
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def metrics_of(query: str) -> set[str]:
    """The metrics a query asks for; a histogram by its own name."""
    return {_PARTS.sub("", name) for name in _METRIC.findall(query)}


def labels_of(query: str) -> set[str]:
    """The labels a query selects or groups by."""
    grouped = {label.strip() for found in _GROUPED.findall(query) for label in found.split(",")}
    return grouped | set(_MATCHED.findall(query))
