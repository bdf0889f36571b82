"""The report in words and pictures, from figures that are easy to check."""

from typing import Any

from benchmarks.ml_step import OURS, SEED, WORKER
from benchmarks.page import page
from benchmarks.summary import headline, held


def entrant(name: str, per_s: float, *, absent: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "absent": absent,
        "broke": [],
        "per_s": per_s,
        "spread": (per_s, per_s),
        "cpu_us": 10_000.0,
        "idle_p50_ms": 12.0,
        "idle_p99_ms": 30.0,
        "resident_mib": 300.0,
        "largest_mib": {"ml_worker/child": 120.0},
        "roles_us": {"gateway": 4000.0, "client": 400.0},
    }


REPORT: dict[str, Any] = {
    "conditions": {"load_before": 0.1},
    "race": [
        entrant("MediScan", 200.0),
        entrant("FastAPI + Celery + Keras", 25.0),
        entrant("LitServe", 0.0, absent="not installed"),
    ],
    "step": {OURS: {"wall_us": 2000.0}, WORKER: {"wall_us": 2500.0}, SEED: {"wall_us": 60_000.0}},
    "floor": {"per_s": 400.0, "cpu_us": 5000.0},
    "curves": {"queued jobs": [{"size": 100, "total_us": 5000.0}, {"size": 1000, "total_us": 5100.0}]},
}


def test_the_tables_give_ratios_of_the_same_run() -> None:
    said = headline(REPORT)

    assert "| FastAPI + Celery + Keras | 25 (25-25) | 8.00 x" in said
    assert "| LitServe | not measured: not installed" in said
    assert f"| {SEED} | 60.00 | 1.0 x |" in said
    assert "50 %" in said
    assert "100: 5.0, 1,000: 5.1" in said


def test_what_is_held_is_said_with_what_was_asked() -> None:
    verdicts = {name: (asked, measured, is_held) for name, asked, measured, is_held in held(REPORT)}

    assert verdicts["jobs a second against FastAPI + Celery + Keras"] == (10.0, 8.0, False)
    assert verdicts["idle p50, ms"] == (20.0, 12.0, True)
    assert verdicts[f"ML step against the seed ({OURS})"] == (20.0, 30.0, True)
    assert not any("LitServe" in name for name in verdicts)


def test_the_page_needs_nothing_but_itself() -> None:
    shown = page(REPORT)

    assert shown.count("<svg") == 7
    assert "does not hold" in shown
    assert not any(word in shown for word in ("http://", "https://", "<script", "src="))


def test_a_report_of_one_part_has_no_empty_tables() -> None:
    assert headline({"conditions": {}}) == ""
    assert "<svg" not in page({"conditions": {}})
