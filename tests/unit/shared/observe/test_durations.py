"""The parts of a job's path, from the times in its record."""

from dataclasses import replace
from typing import Any

from shared.job_state import StageState
from shared.ledger import JobRecord, StageRecord
from shared.names import Stage
from shared.observe.durations import durations
from tests.unit.shared.test_job_view import QUEUED


def stage(claimed_at: float | None, settled_at: float | None) -> StageRecord:
    return StageRecord(StageState.DONE, 1, claimed_at, settled_at)


def job(ml: StageRecord, gemini: StageRecord, fusion: StageRecord, **times: Any) -> JobRecord:
    stages = {Stage.ML: ml, Stage.GEMINI: gemini, Stage.FUSION: fusion}
    return replace(QUEUED, stages=stages, **times)


def test_the_parts_of_a_whole_path() -> None:
    found = durations(job(stage(11, 13), stage(12, 16), stage(16.5, 17), created_at=10, ended_at=17))
    assert found == {
        "total": 7,
        "ml_queued": 1,
        "ml": 2,
        "gemini_queued": 2,
        "gemini": 4,
        "fusion_queued": 0.5,
        "fusion": 0.5,
    }


def test_what_did_not_happen_is_left_out_and_no_part_is_negative() -> None:
    nothing = stage(None, None)
    assert durations(job(stage(9, None), nothing, nothing, created_at=10, ended_at=None)) == {"ml_queued": 0}
