"""The soak's tools: a line through samples, what a process holds, and a short soak that shows they work together."""

import os
from pathlib import Path

import pytest

from tests.chaos.processes import held
from tests.chaos.soak import Slope, SoakOptions, soak


def test_the_slope_of_a_straight_line_is_exact() -> None:
    slope = Slope.through([0, 1800, 3600, 5400], [10, 11, 12, 13])
    assert slope.per_hour == pytest.approx(2)
    assert slope.standard_error == pytest.approx(0, abs=1e-6)


def test_the_standard_error_is_that_of_least_squares() -> None:
    # By hand: x = 0, 1, 2, 3 hours; residuals +-1 around 5; variance 4 / 2, over the sum of squares of x, 5.
    slope = Slope.through([0, 3600, 7200, 10800], [6, 4, 4, 6])
    assert slope.per_hour == pytest.approx(0, abs=1e-9)
    assert slope.standard_error == pytest.approx((2 / 5) ** 0.5, abs=1e-3)


def test_what_this_process_holds(tmp_path: Path) -> None:
    before = held(os.getpid())
    assert before is not None
    assert before.resident_bytes > 1 << 20
    with (tmp_path / "one").open("wb"), (tmp_path / "two").open("wb"):
        during = held(os.getpid())
    assert during is not None
    assert during.descriptors == before.descriptors + 2


def test_nobody_holds_nothing() -> None:
    assert held(1 << 30) is None


def test_a_short_soak_reports_every_process(tmp_path: Path) -> None:
    report = soak(SoakOptions(minutes=0.1, seed=1, calibration_jobs=40, samples=12))
    text = report.save(tmp_path).read_text()
    assert report.violations == [], text
    processes = {"gateway", "ml_worker", "ml_worker child 1", "gemini_worker", "fusion", "reaper"}
    assert processes | {"fusion child 1", "ledger", "broker"} <= set(report.resident_mib)
    assert report.jobs > 0
    assert report.cached_bytes_a_job > 0
    assert "resident MiB" in text
