"""What a job's owner sees in each state."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.contracts import WaitingReading
from shared.job_state import TERMINAL, JobState, StageState
from shared.job_view import view
from shared.ledger import JobRecord, StageRecord
from shared.names import JobRef, Priority, Stage
from tests.support.samples import PROBLEM, RATE_LIMITED, SKIPPED, fused_result, image_facts, ml_reading

_ID = "job_019a0000000000112233445566778899"
_CREATED = 1_767_225_600.0

_PENDING = StageRecord(StageState.PENDING, 0, None, None)
_CLAIMED = StageRecord(StageState.CLAIMED, 1, _CREATED + 0.25, None)
_DONE = StageRecord(StageState.DONE, 1, _CREATED + 0.25, _CREATED + 1.5)
_SKIPPED = StageRecord(StageState.SKIPPED, 0, None, None)
_WAITING = StageRecord(StageState.WAITING, 0, None, None)


def stages(ml: StageRecord, gemini: StageRecord, fusion: StageRecord = _WAITING) -> dict[Stage, StageRecord]:
    return {Stage.ML: ml, Stage.GEMINI: gemini, Stage.FUSION: fusion}


QUEUED = JobRecord(
    ref=JobRef("default", _ID),
    version=1,
    state=JobState.QUEUED,
    priority=Priority.STAT,
    created_at=_CREATED,
    deadline_at=_CREATED + 900,
    ended_at=None,
    image=image_facts(),
    metadata={"ward": "7"},
    model=None,
    prior=None,
    stages=stages(_PENDING, _PENDING),
    ml=None,
    gemini=None,
    result=None,
    error=None,
)
READING = replace(QUEUED, version=2, state=JobState.RUNNING, stages=stages(_CLAIMED, _PENDING))
HALF = replace(READING, version=3, stages=stages(_DONE, _CLAIMED), ml=ml_reading())
GEMINI_FIRST = replace(
    READING, stages=stages(_CLAIMED, replace(_DONE, state=StageState.UNAVAILABLE)), gemini=RATE_LIMITED
)
JOINING = replace(HALF, version=4, stages=stages(_DONE, _SKIPPED, _PENDING), gemini=SKIPPED)
COMPLETED = replace(
    JOINING,
    version=6,
    state=JobState.COMPLETED,
    stages=stages(_DONE, _SKIPPED, _DONE),
    ended_at=_CREATED + 2,
    result=fused_result(),
)


def ended(state: JobState) -> JobRecord:
    if state is JobState.COMPLETED:
        return COMPLETED
    return replace(READING, state=state, ended_at=_CREATED + 2, error=PROBLEM)


# --- what stays as it was given ---------------------------------------------------------------------------


def test_the_owner_sees_what_was_submitted() -> None:
    seen = view(QUEUED)

    assert (seen.id, seen.version, seen.priority) == (_ID, 1, Priority.STAT)
    assert (seen.image, seen.metadata) == (image_facts(), {"ward": "7"})


def test_times_are_utc() -> None:
    seen = view(COMPLETED)

    assert seen.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert seen.deadline_at == datetime(2026, 1, 1, 0, 15, tzinfo=UTC)
    assert seen.ended_at == datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)


def test_links_lead_to_the_job_and_name_no_tenant() -> None:
    assert view(QUEUED).links.model_dump() == {
        "self": f"/v1/jobs/{_ID}",
        "heatmap": f"/v1/jobs/{_ID}/heatmap.png",
        "cancel": f"/v1/jobs/{_ID}/cancel",
    }


# --- progress ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "fraction", "step"),
    [
        (QUEUED, 0, "waiting for a reader"),
        (READING, 0.3, "reading"),
        (GEMINI_FIRST, 0.3, "reading"),
        (HALF, 0.6, "waiting for the second reading"),
        (JOINING, 0.9, "joining the readings"),
    ],
)
def test_progress_of_a_live_job(job: JobRecord, fraction: float, step: str) -> None:
    progress = view(job).progress

    assert (progress.fraction, progress.step) == (fraction, step)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_finished_job_has_come_all_the_way(state: JobState) -> None:
    progress = view(ended(state)).progress

    assert (progress.fraction, progress.step) == (1, state)


# --- readings and outcome ---------------------------------------------------------------------------------


def test_a_reading_that_is_not_there_is_waited_for() -> None:
    assert view(READING).readings.ml == WaitingReading(state=StageState.CLAIMED, deliveries=1)
    assert view(READING).readings.gemini == WaitingReading(state=StageState.PENDING)


def test_a_reading_is_seen_as_soon_as_it_is_there() -> None:
    assert view(HALF).readings.ml == ml_reading()
    assert view(GEMINI_FIRST).readings.gemini == RATE_LIMITED
    assert view(JOINING).readings.gemini == SKIPPED


def test_a_completed_job_shows_its_result_and_no_error() -> None:
    assert (view(COMPLETED).result, view(COMPLETED).error) == (fused_result(), None)


@pytest.mark.parametrize("state", sorted(TERMINAL - {JobState.COMPLETED}))
def test_a_job_that_ended_otherwise_shows_its_error_and_no_result(state: JobState) -> None:
    assert (view(ended(state)).result, view(ended(state)).error) == (None, PROBLEM)


# --- timings ----------------------------------------------------------------------------------------------


def test_what_has_not_happened_took_no_time() -> None:
    assert view(QUEUED).timings.model_dump() == {
        "queued_ms": None,
        "ml_ms": None,
        "gemini_ms": None,
        "gemini_started_ms": None,
        "fusion_started_ms": None,
        "total_ms": None,
    }


def test_timings_count_from_submission() -> None:
    assert view(COMPLETED).timings.model_dump() == {
        "queued_ms": 250,
        "ml_ms": 1500,
        "gemini_ms": None,
        "gemini_started_ms": None,
        "fusion_started_ms": 250,
        "total_ms": 2000,
    }


def test_a_clock_set_back_gives_no_negative_duration() -> None:
    set_back = replace(COMPLETED, created_at=_CREATED + 300)

    assert set(view(set_back).timings.model_dump().values()) == {0, None}
