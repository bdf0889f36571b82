"""What is over stays as it ended: every call, whatever arrives late, leaves a finished job byte for byte alone."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from shared.job_state import TERMINAL, JobState
from shared.ledger import Claim, Released, Settled
from shared.names import JobRef, Stage
from tests.support.jobs import EVERY_STAGE, READINGS, Jobs
from tests.support.samples import (
    PROBLEM,
    RATE_LIMITED,
    UNREADABLE,
    fused_result,
    ml_reading,
    new_job,
    new_token,
)


@dataclass(frozen=True)
class Over:
    """A finished job, and what its workers still hold in their hands."""

    jobs: Jobs
    ref: JobRef

    def held(self, stage: Stage) -> Claim:
        """A claim with the token that the ledger has on record, or one of a stranger."""
        token = self.jobs.stored(self.ref).get(f"{stage}.token", new_token())
        return Claim(self.jobs.record(self.ref), stage, token)


@pytest.fixture(params=sorted(TERMINAL))
def over(request: pytest.FixtureRequest, jobs: Jobs) -> Over:
    """A job in each of the terminal states."""
    return Over(jobs, jobs.ended(JobState(request.param)))


#: Every call on a job there is, with the answer it must give to somebody who comes too late.
LATE_CALLS: dict[str, tuple[Callable[[Over, Stage], object], object]] = {
    "claim": (lambda over, stage: over.jobs.ledger.claim(over.ref, stage, token=new_token()), None),
    "claim again": (
        lambda over, stage: over.jobs.ledger.claim(over.ref, stage, token=over.held(stage).token),
        None,
    ),
    "settle another reading": (
        lambda over, stage: over.jobs.ledger.settle(over.held(stage), ml_reading(p_positive=0.01)),
        Settled.LATE,
    ),
    "settle unavailable": (
        lambda over, stage: over.jobs.ledger.settle(over.held(stage), RATE_LIMITED),
        Settled.LATE,
    ),
    "release": (lambda over, stage: over.jobs.ledger.release(over.held(stage), "broke"), Released.LATE),
    "fail for another reason": (
        lambda over, stage: over.jobs.ledger.fail(over.held(stage), PROBLEM, RATE_LIMITED),
        False,
    ),
}


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("call", LATE_CALLS)
def test_a_late_call_is_absorbed(over: Over, call: str, stage: Stage) -> None:
    late, answer = LATE_CALLS[call]
    before = over.jobs.stored(over.ref)

    assert late(over, stage) == answer
    assert over.jobs.stored(over.ref) == before


def test_creating_it_again_gives_the_finished_job(over: Over) -> None:
    before = over.jobs.stored(over.ref)

    assert over.jobs.ledger.create(over.ref, new_job()) == over.jobs.record(over.ref)
    assert over.jobs.stored(over.ref) == before


def test_cancelling_gives_the_finished_job(over: Over) -> None:
    before = over.jobs.stored(over.ref)

    assert over.jobs.ledger.cancel(over.ref) == over.jobs.record(over.ref)
    assert over.jobs.stored(over.ref) == before


def test_a_stranger_does_not_complete_it(over: Over) -> None:
    before = over.jobs.stored(over.ref)
    stranger = Claim(over.jobs.record(over.ref), Stage.FUSION, new_token())

    assert over.jobs.ledger.complete(stranger, fused_result(p_positive=0.01)) is None
    assert over.jobs.stored(over.ref) == before


def test_the_reaper_only_archives_it_however_often_it_looks(over: Over) -> None:
    before = over.jobs.stored(over.ref)

    for _ in range(3):
        over.jobs.long_ago(over.ref)
        assert over.jobs.reap(over.ref, empty=EVERY_STAGE, deserted=EVERY_STAGE) == [None]
    assert over.jobs.stored(over.ref) == before


def test_its_past_deadline_does_not_expire_it(over: Over) -> None:
    over.jobs.long_ago(over.ref, "deadline_at")
    state = over.jobs.record(over.ref).state

    over.jobs.reap(over.ref)

    assert over.jobs.record(over.ref).state is state


@pytest.mark.parametrize("stage", READINGS)
def test_a_repeated_settle_of_a_completed_job_is_told_it_was_settled(jobs: Jobs, stage: Stage) -> None:
    ref = jobs.create()
    claims = {reader: jobs.settle(ref, reader) for reader in READINGS}
    jobs.complete(ref)
    before = jobs.stored(ref)

    assert jobs.ledger.settle(claims[stage], READINGS[stage]) is Settled.SETTLED
    assert jobs.stored(ref) == before


def test_a_failed_job_does_not_fail_again_for_another_worker(jobs: Jobs) -> None:
    ref = jobs.ended(JobState.FAILED)
    other = Claim(jobs.record(ref), Stage.ML, new_token())

    assert jobs.ledger.fail(other, PROBLEM, UNREADABLE) is False
