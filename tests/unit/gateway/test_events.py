"""The events of a job are a pure function of it: their order, their ids, and what comes after one of them."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.events import Event, events
from shared.contracts import GeminiReading, JobView, SkippedReading, UnavailableReading
from shared.job_state import TERMINAL, JobState, StageState
from shared.job_view import view
from shared.ledger import JobRecord, StageRecord
from tests.support.samples import RATE_LIMITED, SKIPPED, fused_result, gemini_reading, ml_reading
from tests.unit.shared.test_job_view import QUEUED, ended, stages

_AT = QUEUED.created_at


def done(claimed: float, settled: float, state: StageState = StageState.DONE) -> StageRecord:
    """Claimed and settled so many seconds after submission."""
    return StageRecord(state, 1, _AT + claimed, _AT + settled)


def completed(
    ml: StageRecord,
    gemini: StageRecord,
    said: GeminiReading | UnavailableReading | SkippedReading,
) -> JobRecord:
    """A job that came all the way; said: what came of the second reading."""
    return replace(
        QUEUED,
        state=JobState.COMPLETED,
        stages=stages(ml, gemini, done(5, 6)),
        ml=ml_reading(),
        gemini=said,
        result=fused_result(),
        ended_at=_AT + 6,
    )


BOTH = completed(done(1, 3), done(2, 4), gemini_reading())
GEMINI_FIRST = completed(done(2, 4), done(1, 3), gemini_reading())
UNAVAILABLE = completed(done(1, 2), done(1.5, 4, StageState.UNAVAILABLE), RATE_LIMITED)
NEVER_TAKEN_UP = completed(done(1, 2), StageRecord(StageState.UNAVAILABLE, 0, None, _AT + 4), RATE_LIMITED)
NOT_ASKED = completed(done(1, 2), StageRecord(StageState.SKIPPED, 0, None, None), SKIPPED)


def types(job: JobRecord, after: str = "") -> list[str]:
    return [event.type for event in events(view(job), after)]


@pytest.mark.parametrize(
    ("job", "told"),
    [
        (QUEUED, "queued"),
        (BOTH, "queued ml.started gemini.started ml.done gemini.done fusion.started completed"),
        (GEMINI_FIRST, "queued gemini.started ml.started gemini.done ml.done fusion.started completed"),
        (
            UNAVAILABLE,
            "queued ml.started gemini.started ml.done gemini.unavailable fusion.started completed",
        ),
        (NEVER_TAKEN_UP, "queued ml.started ml.done gemini.unavailable fusion.started completed"),
        (NOT_ASKED, "queued gemini.skipped ml.started ml.done fusion.started completed"),
    ],
)
def test_the_steps_come_in_order(job: JobRecord, told: str) -> None:
    assert types(job) == told.split()


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_the_last_event_is_how_it_ended(state: JobState) -> None:
    last = events(view(ended(state)))[-1]
    assert (last.type, last.data) == (state, {"state": state})


def test_what_each_event_says() -> None:
    said = {event.type: event.data for event in events(view(UNAVAILABLE))}
    assert said["ml.done"] == {"label": "Positive", "p_positive": ml_reading().p_positive, "abstained": False}
    assert said["gemini.unavailable"] == {"reason": "rate_limited"}
    assert {event.type: event.data for event in events(view(NOT_ASKED))}["gemini.skipped"] == {
        "reason": "not_configured"
    }


@pytest.mark.parametrize("job", [BOTH, GEMINI_FIRST, UNAVAILABLE, NOT_ASKED])
def test_after_each_event_come_the_others_and_ids_grow(job: JobRecord) -> None:
    everything = events(view(job))
    assert [event.id for event in everything] == sorted({event.id for event in everything})
    for place, event in enumerate(everything):
        assert events(view(job), event.id) == everything[place + 1 :]


@pytest.mark.parametrize(
    "after", ["", "zzz", "7", "0001", "123 ", "1e400", "-01", "\u0660\u0660\u0661", "\n"]
)
def test_an_id_that_we_never_gave_is_none(after: str) -> None:
    assert types(BOTH, after) == types(BOTH)


@given(
    st.lists(st.floats(-50, 50), min_size=4, max_size=4), st.floats(-50, 50), st.sampled_from([1, 2, 3, 4])
)
def test_each_event_is_told_once_whatever_the_clock_did(times: list[float], end: float, cut: int) -> None:
    """The clock of the ledger may be set between any two steps, so that a later one bears an earlier time."""
    a, b, c, d = times
    halfway = replace(
        QUEUED,
        state=JobState.RUNNING,
        stages=stages(done(a, b), StageRecord(StageState.CLAIMED, 1, _AT + c, None)),
        ml=ml_reading(),
    )
    whole = replace(completed(done(a, b), done(c, d), gemini_reading()), ended_at=_AT + end)
    first = events(view(halfway))[:cut]
    told = [event.type for event in first + events(view(whole), first[-1].id)]
    assert sorted(told) == sorted(types(BOTH))
    assert (told[0], told[-1]) == ("queued", "completed")
    for reader in ("ml", "gemini"):
        assert told.index(f"{reader}.started") < told.index(f"{reader}.done") < told.index("fusion.started")


def test_a_line_of_a_stored_job_of_old_gives_what_it_holds() -> None:
    stored = json.loads(view(BOTH).model_dump_json())
    for name in ("gemini_started_ms", "fusion_started_ms"):
        del stored["timings"][name]
    told = [event.type for event in events(JobView.model_validate(stored))]
    assert told == ["queued", "ml.started", "ml.done", "gemini.done", "completed"]


def test_how_an_event_is_written() -> None:
    written = Event("001", "queued", {"a": "ü\n"}).encode().decode()
    assert written == 'id: 001\nevent: queued\ndata: {"a": "\\u00fc\\n"}\n\n'
