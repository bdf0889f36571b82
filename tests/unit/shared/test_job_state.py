"""One test per allowed transition, and one that every other is refused."""

from itertools import product

import pytest

from shared.job_state import (
    SETTLED,
    TERMINAL,
    JobState,
    StageState,
    TransitionRefusedError,
    advance,
    advance_stage,
)

#: Written out and not taken from the table: changing what is allowed must be done twice, knowingly.
ALLOWED = {
    (JobState.QUEUED, JobState.RUNNING),
    (JobState.QUEUED, JobState.FAILED),
    (JobState.QUEUED, JobState.CANCELLED),
    (JobState.QUEUED, JobState.EXPIRED),
    (JobState.RUNNING, JobState.COMPLETED),
    (JobState.RUNNING, JobState.FAILED),
    (JobState.RUNNING, JobState.CANCELLED),
    (JobState.RUNNING, JobState.EXPIRED),
}

STAGE_ALLOWED = {
    (StageState.WAITING, StageState.PENDING),
    (StageState.PENDING, StageState.CLAIMED),
    (StageState.PENDING, StageState.UNAVAILABLE),
    (StageState.CLAIMED, StageState.PENDING),
    (StageState.CLAIMED, StageState.DONE),
    (StageState.CLAIMED, StageState.UNAVAILABLE),
}


@pytest.mark.parametrize(("state", "to"), sorted(ALLOWED))
def test_a_job_may_go(state: JobState, to: JobState) -> None:
    assert advance(state, to) is to


@pytest.mark.parametrize(("state", "to"), sorted(set(product(JobState, JobState)) - ALLOWED))
def test_a_job_may_not_go(state: JobState, to: JobState) -> None:
    with pytest.raises(TransitionRefusedError, match=f"from {state} to {to}"):
        advance(state, to)


@pytest.mark.parametrize(("state", "to"), sorted(STAGE_ALLOWED))
def test_a_stage_may_go(state: StageState, to: StageState) -> None:
    assert advance_stage(state, to) is to


@pytest.mark.parametrize(("state", "to"), sorted(set(product(StageState, StageState)) - STAGE_ALLOWED))
def test_a_stage_may_not_go(state: StageState, to: StageState) -> None:
    with pytest.raises(TransitionRefusedError, match=f"from {state} to {to}"):
        advance_stage(state, to)


def test_four_states_are_final() -> None:
    assert {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED} == TERMINAL


def test_three_stage_states_need_no_more_work() -> None:
    assert {StageState.DONE, StageState.UNAVAILABLE, StageState.SKIPPED} == SETTLED
