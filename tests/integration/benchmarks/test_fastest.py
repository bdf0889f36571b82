"""The harness of `make bench` with counts that say nothing: what it reports, not how fast anything is."""

import json
from pathlib import Path

import pytest

from benchmarks import curves, field
from benchmarks.fastest import TINY, run
from benchmarks.page import page
from benchmarks.summary import headline, held


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peers' environment is not there."""
    monkeypatch.setattr(field, "_BIN", tmp_path)


@pytest.mark.usefixtures("nothing_installed")
def test_a_race_says_who_ran_and_who_could_not() -> None:
    said: list[str] = []

    (report,) = run(TINY, [field.LitServe], {"race"}, said.append)

    ours, absent = report["race"]
    assert not ours["absent"]
    assert ours["per_s"] > 0
    assert ours["idle_p50_ms"] > 0
    assert {"ledger", "gateway", "ml_worker/child", "ml_worker/decoder", "client"} <= ours["roles_us"].keys()
    assert ours["rounds"][0]["jobs"] == TINY.race.jobs
    assert "not installed" in absent["absent"]
    assert "| LitServe | not measured" in headline(report)
    assert "<svg" in page(json.loads(json.dumps(report)))
    assert any(name.startswith("ML child") and measured > 0 for name, _, measured, _ in held(report))


def test_the_cost_of_a_job_is_measured_behind_a_backlog() -> None:
    (point,) = curves.backlog([30])

    assert point.size == 30
    assert point.cpu_us["ml_worker/child"] > 0
