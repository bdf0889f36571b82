"""A job's path through the ledger, one transition at a time, against a real Valkey."""

from collections.abc import Callable

import pytest
import redis

from shared.contracts import Fallback, JobError, UnavailableReading, UnavailableReason
from shared.job_state import JobState, StageState
from shared.ledger import Released, Settled
from shared.names import JobRef, Key, Priority, Stage
from tests.support.jobs import READINGS, Jobs
from tests.support.samples import (
    PROBLEM,
    RATE_LIMITED,
    SKIPPED,
    UNREADABLE,
    fused_result,
    gemini_reading,
    image_facts,
    ml_reading,
    new_job,
    new_ref,
    new_token,
)

MakeJobs = Callable[..., Jobs]
READERS = tuple(READINGS)


def stage_state(jobs: Jobs, ref: JobRef, stage: Stage) -> StageState:
    return jobs.record(ref).stages[stage].state


# --- create -----------------------------------------------------------------------------------------------


def test_a_new_job_is_queued_with_both_readings_pending_and_fusion_waiting(jobs: Jobs) -> None:
    record = jobs.record(jobs.create())

    assert record.state is JobState.QUEUED
    assert [record.stages[stage].state for stage in Stage] == [
        StageState.PENDING,
        StageState.PENDING,
        StageState.WAITING,
    ]
    assert record.version == 1


def test_a_new_job_keeps_what_it_was_given(jobs: Jobs) -> None:
    metadata = {"text": "é\n", "int": 1, "float": 1.0, "bool": True, "none": None}
    ref = jobs.create(priority=Priority.STAT, metadata=metadata)

    record = jobs.record(ref)

    assert record.priority is Priority.STAT
    assert record.image == image_facts()
    assert repr(record.metadata) == repr(metadata)


def test_a_new_job_has_its_deadline_from_the_settings(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(job_deadline_s=77)
    record = jobs.record(jobs.create())

    assert record.deadline_at == pytest.approx(record.created_at + 77)


def test_a_new_job_is_due_before_its_message_could_be_missed(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(republish_after_s=3)
    ref = jobs.create()

    assert jobs.due_at(ref) == pytest.approx(jobs.record(ref).created_at + 3)


def test_without_gemini_its_reading_is_skipped_with_the_reason(jobs: Jobs) -> None:
    record = jobs.record(jobs.create(gemini_skipped=SKIPPED))

    assert record.stages[Stage.GEMINI].state is StageState.SKIPPED
    assert record.gemini == SKIPPED


def test_creating_again_changes_nothing(jobs: Jobs) -> None:
    ref = new_ref()
    first = jobs.ledger.create(ref, new_job(metadata={"n": 1}))
    before = jobs.stored(ref)

    assert jobs.ledger.create(ref, new_job(metadata={"n": 2})) == first
    assert jobs.stored(ref) == before


def test_an_unknown_job_reads_as_none(jobs: Jobs) -> None:
    assert jobs.ledger.read(new_ref()) is None


def test_a_job_of_one_tenant_is_unknown_to_another(jobs: Jobs) -> None:
    ref = jobs.create()

    assert jobs.ledger.read(JobRef("other", ref.job_id)) is None


# --- claim ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", READERS)
def test_the_first_claim_sets_the_job_running(jobs: Jobs, stage: Stage) -> None:
    ref = jobs.create()

    claim = jobs.claim(ref, stage)

    assert claim.job.state is JobState.RUNNING
    assert claim.job.stages[stage].state is StageState.CLAIMED
    assert claim.job.stages[stage].deliveries == 1
    assert claim.job == jobs.record(ref)


@pytest.mark.parametrize("stage", READERS)
def test_a_claimed_stage_is_not_claimed_by_a_second_delivery(jobs: Jobs, stage: Stage) -> None:
    ref = jobs.create()
    jobs.claim(ref, stage)

    assert jobs.ledger.claim(ref, stage, token=new_token()) is None


def test_claiming_again_with_the_same_token_gives_the_same_claim(jobs: Jobs) -> None:
    ref = jobs.create()

    assert jobs.claim(ref, Stage.ML, "t") == jobs.claim(ref, Stage.ML, "t")


def test_a_claim_is_due_when_its_lease_ends(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(ml_lease_s=2)
    ref = jobs.create(gemini_skipped=SKIPPED)

    claim = jobs.claim(ref, Stage.ML)

    claimed_at = claim.job.stages[Stage.ML].claimed_at
    assert claimed_at is not None
    assert jobs.due_at(ref) == pytest.approx(claimed_at + 2)


def test_a_settled_reading_is_not_claimed_again(jobs: Jobs) -> None:
    ref = jobs.create()
    jobs.settle(ref, Stage.ML)

    assert jobs.ledger.claim(ref, Stage.ML, token=new_token()) is None


def test_fusion_is_not_claimed_before_both_readings_are_settled(jobs: Jobs) -> None:
    ref = jobs.create()
    jobs.settle(ref, Stage.ML)

    assert jobs.ledger.claim(ref, Stage.FUSION, token=new_token()) is None


def test_a_skipped_reading_is_not_claimed(jobs: Jobs) -> None:
    ref = jobs.create(gemini_skipped=SKIPPED)

    assert jobs.ledger.claim(ref, Stage.GEMINI, token=new_token()) is None


def test_an_unknown_job_is_not_claimed(jobs: Jobs) -> None:
    assert jobs.ledger.claim(new_ref(), Stage.ML, token=new_token()) is None


# --- settle and join --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", READERS)
def test_a_settled_reading_is_stored(jobs: Jobs, stage: Stage) -> None:
    ref = jobs.create()

    jobs.ledger.settle(jobs.claim(ref, stage), READINGS[stage])

    record = jobs.record(ref)
    assert {Stage.ML: record.ml, Stage.GEMINI: record.gemini}[stage] == READINGS[stage]
    assert record.stages[stage].state is StageState.DONE
    assert record.stages[stage].settled_at is not None


def test_an_unavailable_reading_is_stored_with_its_reason(jobs: Jobs) -> None:
    ref = jobs.create()

    jobs.ledger.settle(jobs.claim(ref, Stage.GEMINI), RATE_LIMITED)

    assert jobs.record(ref).gemini == RATE_LIMITED
    assert stage_state(jobs, ref, Stage.GEMINI) is StageState.UNAVAILABLE


@pytest.mark.parametrize("order", [READERS, READERS[::-1]])
def test_the_second_settled_reading_and_only_it_opens_fusion(jobs: Jobs, order: tuple[Stage, Stage]) -> None:
    ref = jobs.create()
    claims = {stage: jobs.claim(ref, stage) for stage in order}

    outcomes = [jobs.ledger.settle(claims[stage], READINGS[stage]) for stage in order]

    assert outcomes == [Settled.SETTLED, Settled.FUSE]
    assert stage_state(jobs, ref, Stage.FUSION) is StageState.PENDING


def test_an_unavailable_gemini_reading_opens_fusion_as_well(jobs: Jobs) -> None:
    ref = jobs.create()
    jobs.settle(ref, Stage.ML)

    assert jobs.ledger.settle(jobs.claim(ref, Stage.GEMINI), RATE_LIMITED) is Settled.FUSE


def test_with_gemini_skipped_the_ml_reading_alone_opens_fusion(jobs: Jobs) -> None:
    ref = jobs.create(gemini_skipped=SKIPPED)

    assert jobs.ledger.settle(jobs.claim(ref, Stage.ML), ml_reading()) is Settled.FUSE


@pytest.mark.parametrize("stage", READERS)
def test_settling_again_gives_the_same_answer(jobs: Jobs, stage: Stage) -> None:
    ref = jobs.create()
    jobs.settle(ref, Stage.GEMINI if stage is Stage.ML else Stage.ML)
    claim = jobs.claim(ref, stage)

    answers = [jobs.ledger.settle(claim, READINGS[stage]) for _ in range(2)]

    assert answers == [Settled.FUSE, Settled.FUSE]


def test_settling_the_first_reading_again_does_not_open_fusion(jobs: Jobs) -> None:
    claim = jobs.claim(jobs.create(), Stage.ML)

    answers = [jobs.ledger.settle(claim, ml_reading()) for _ in range(2)]

    assert answers == [Settled.SETTLED, Settled.SETTLED]


def test_a_second_different_reading_under_the_same_token_is_late(jobs: Jobs) -> None:
    ref = jobs.create()
    claim = jobs.claim(ref, Stage.ML)
    jobs.ledger.settle(claim, ml_reading())

    assert jobs.ledger.settle(claim, ml_reading(p_positive=0.1)) is Settled.LATE
    assert jobs.record(ref).ml == ml_reading()


# --- fail, complete, cancel -------------------------------------------------------------------------------


def test_a_failed_job_says_why(jobs: Jobs) -> None:
    ref = jobs.create()

    assert jobs.ledger.fail(jobs.claim(ref, Stage.ML), PROBLEM, UNREADABLE)

    record = jobs.record(ref)
    assert (record.state, record.error, record.ml) == (JobState.FAILED, PROBLEM, UNREADABLE)
    assert record.ended_at is not None


def test_failing_again_gives_the_same_answer(jobs: Jobs) -> None:
    claim = jobs.claim(jobs.create(), Stage.ML)

    assert [jobs.ledger.fail(claim, PROBLEM, UNREADABLE) for _ in range(2)] == [True, True]


def test_a_completed_job_holds_its_result(jobs: Jobs) -> None:
    ref = jobs.fusable()

    finished = jobs.ledger.complete(jobs.claim(ref, Stage.FUSION), fused_result())

    assert finished == jobs.record(ref)
    assert (finished.state, finished.result) == (JobState.COMPLETED, fused_result())
    assert finished.ended_at is not None


def test_completing_again_gives_the_first_result(jobs: Jobs) -> None:
    claim = jobs.claim(jobs.fusable(), Stage.FUSION)
    first = jobs.ledger.complete(claim, fused_result())

    assert jobs.ledger.complete(claim, fused_result(p_positive=0.1)) == first


def test_a_job_with_one_reader_is_concluded_by_it(jobs: Jobs) -> None:
    ref = jobs.create(gemini_skipped=SKIPPED)
    result = fused_result(fallback=Fallback(reason=SKIPPED.reason, detail="none"))

    assert jobs.ledger.conclude(jobs.claim(ref, Stage.ML), ml_reading(), result)

    record = jobs.record(ref)
    assert (record.state, record.ml, record.result) == (JobState.COMPLETED, ml_reading(), result)
    assert stage_state(jobs, ref, Stage.FUSION) is StageState.DONE
    assert record.ended_at == record.stages[Stage.FUSION].settled_at == record.stages[Stage.ML].settled_at
    assert jobs.ledger.counters()["fallback:not_configured"] == 1


def test_a_concluded_job_is_archived_by_the_reaper_at_once(jobs: Jobs) -> None:
    ref = jobs.create(gemini_skipped=SKIPPED)
    jobs.ledger.conclude(jobs.claim(ref, Stage.ML), ml_reading(), fused_result())

    assert jobs.reap(ref) == [None]


def test_concluding_again_gives_the_same_answer(jobs: Jobs) -> None:
    claim = jobs.claim(jobs.create(gemini_skipped=SKIPPED), Stage.ML)

    assert [jobs.ledger.conclude(claim, ml_reading(), fused_result()) for _ in range(2)] == [True, True]


def test_a_job_that_was_called_off_is_not_concluded(jobs: Jobs) -> None:
    claim = jobs.claim(jobs.create(gemini_skipped=SKIPPED), Stage.ML)
    cancelled = jobs.ledger.cancel(claim.job.ref)

    assert not jobs.ledger.conclude(claim, ml_reading(), fused_result())
    assert jobs.record(claim.job.ref) == cancelled
    assert jobs.ledger.counters()["late:ml"] == 1


def test_a_job_whose_second_reading_is_out_cannot_be_concluded(jobs: Jobs) -> None:
    claim = jobs.claim(jobs.create(), Stage.ML)
    before = jobs.record(claim.job.ref)

    with pytest.raises(redis.exceptions.ResponseError, match="not skipped"):
        jobs.ledger.conclude(claim, ml_reading(), fused_result())

    assert jobs.record(claim.job.ref) == before


def test_many_finished_jobs_are_archived_in_one_round(jobs: Jobs) -> None:
    refs = [jobs.ended(JobState.COMPLETED) for _ in range(3)]
    for ref in refs:
        jobs.long_ago(ref)

    actions = jobs.ledger.reap(refs, empty=set(), deserted=set())
    assert jobs.ledger.archived_all(dict.fromkeys(refs)) == set(refs)
    assert jobs.ledger.archived_all(dict.fromkeys(refs)) == set()

    assert [(action.ref, action.stage) for action in actions] == [(ref, None) for ref in refs]
    assert [*jobs.ledger.read_many([*refs, new_ref()])] == refs
    assert [jobs.due_at(ref) for ref in refs] == [None] * 3


@pytest.mark.parametrize("stage", READERS)
def test_a_reading_claim_does_not_complete_a_job(jobs: Jobs, stage: Stage) -> None:
    ref = jobs.create()

    assert jobs.ledger.complete(jobs.claim(ref, stage), fused_result()) is None
    assert jobs.record(ref).state is JobState.RUNNING


def test_a_queued_job_can_be_cancelled(jobs: Jobs) -> None:
    ref = jobs.create()

    cancelled = jobs.ledger.cancel(ref)

    assert cancelled == jobs.record(ref)
    assert cancelled.state is JobState.CANCELLED


def test_a_running_job_can_be_cancelled(jobs: Jobs) -> None:
    ref = jobs.create()
    jobs.claim(ref, Stage.ML)

    cancelled = jobs.ledger.cancel(ref)

    assert cancelled is not None
    assert cancelled.state is JobState.CANCELLED


def test_cancelling_again_gives_the_same_answer(jobs: Jobs) -> None:
    ref = jobs.create()

    assert jobs.ledger.cancel(ref) == jobs.ledger.cancel(ref)


def test_cancelling_an_unknown_job_gives_none(jobs: Jobs) -> None:
    assert jobs.ledger.cancel(new_ref()) is None


# --- release ----------------------------------------------------------------------------------------------


def test_a_released_stage_is_pending_again_after_a_pause_that_doubles(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(retry_pause_s=4, max_deliveries=4)
    ref = jobs.create()
    pauses = []
    for _ in range(3):
        claim = jobs.claim(ref, Stage.ML)
        before = jobs.now()
        assert jobs.ledger.release(claim, "broke") is Released.RELEASED
        pauses.append(jobs.number(ref, "ml.look_at") - before)

    assert stage_state(jobs, ref, Stage.ML) is StageState.PENDING
    assert pauses == pytest.approx([4, 8, 16], abs=0.5)


@pytest.mark.parametrize("stage", Stage)
def test_a_released_stage_is_published_by_the_reaper_once_its_pause_is_over(jobs: Jobs, stage: Stage) -> None:
    ref = jobs.fusable() if stage is Stage.FUSION else jobs.create()
    jobs.ledger.release(jobs.claim(ref, stage), "broke")
    jobs.long_ago(ref, f"{stage}.look_at")

    assert jobs.reap(ref) == [stage]


@pytest.mark.parametrize("stage", [Stage.ML, Stage.FUSION])
def test_a_stage_released_too_often_is_a_dead_letter(make_jobs: MakeJobs, stage: Stage) -> None:
    jobs = make_jobs(max_deliveries=2)
    ref = jobs.fusable() if stage is Stage.FUSION else jobs.create()

    answers = [jobs.ledger.release(jobs.claim(ref, stage), "It broke.") for _ in range(2)]

    record = jobs.record(ref)
    assert answers == [Released.RELEASED, Released.DEAD]
    assert (record.state, record.error) == (
        JobState.FAILED,
        JobError(code=f"{stage}_gave_up", detail="It broke."),
    )
    assert [dead for dead, _ in jobs.ledger.dead_letters()] == [ref]
    assert jobs.ledger.counters()["dead_lettered"] == 1


def test_gemini_released_too_often_is_unavailable_and_the_job_goes_on(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(max_deliveries=1)
    ref = jobs.create()

    answer = jobs.ledger.release(jobs.claim(ref, Stage.GEMINI), "It broke.")

    record = jobs.record(ref)
    assert answer is Released.UNAVAILABLE
    assert record.state is JobState.RUNNING
    assert record.gemini == UnavailableReading(reason=UnavailableReason.INTERNAL_ERROR, detail="It broke.")
    assert jobs.ledger.dead_letters() == []


def test_gemini_given_up_after_the_ml_reading_has_the_reaper_publish_fusion_at_once(
    make_jobs: MakeJobs,
) -> None:
    jobs = make_jobs(max_deliveries=1)
    ref = jobs.create()
    jobs.settle(ref, Stage.ML)

    jobs.ledger.release(jobs.claim(ref, Stage.GEMINI), "It broke.")

    assert jobs.ledger.due(10) == [ref]
    assert jobs.reap(ref) == [Stage.FUSION]


# --- fencing ----------------------------------------------------------------------------------------------

FENCED_OFF = {
    "settle": lambda jobs, claim: jobs.ledger.settle(claim, READINGS.get(claim.stage, ml_reading())),
    "release": lambda jobs, claim: jobs.ledger.release(claim, "broke"),
    "fail": lambda jobs, claim: jobs.ledger.fail(claim, PROBLEM, UNREADABLE),
    "complete": lambda jobs, claim: jobs.ledger.complete(claim, fused_result()),
}
REFUSALS = {"settle": Settled.LATE, "release": Released.LATE, "fail": False, "complete": None}


@pytest.mark.parametrize("call", FENCED_OFF)
@pytest.mark.parametrize("is_taken_up_again", [False, True])
@pytest.mark.parametrize("stage", Stage)
def test_a_worker_that_was_given_up_on_changes_nothing(
    jobs: Jobs, stage: Stage, is_taken_up_again: bool, call: str
) -> None:
    ref = jobs.fusable() if stage is Stage.FUSION else jobs.create()
    fenced = jobs.claim(ref, stage)
    jobs.long_ago(ref, f"{stage}.lease_until")
    assert jobs.reap(ref) == [stage]
    if is_taken_up_again:
        jobs.claim(ref, stage)
    before = jobs.stored(ref)

    assert FENCED_OFF[call](jobs, fenced) == REFUSALS[call]
    assert jobs.stored(ref) == before


# --- afterwards, and for operators ------------------------------------------------------------------------


def test_an_archived_job_is_a_short_cache_that_the_reaper_forgets(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(cache_ttl_s=60)
    ref = jobs.ended(JobState.COMPLETED)

    jobs.ledger.archived(ref)

    assert jobs.due_at(ref) is None
    assert 0 < jobs.redis.ttl(Key.job(ref)) <= 60


def test_a_cache_shorter_than_a_second_is_still_a_cache(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(cache_ttl_s=0.9)
    ref = jobs.ended(JobState.COMPLETED)

    jobs.ledger.archived(ref)

    assert 0 < jobs.redis.pttl(Key.job(ref)) <= 900


def test_a_live_job_is_not_archived(jobs: Jobs) -> None:
    ref = jobs.create()

    jobs.ledger.archived(ref)

    assert jobs.redis.ttl(Key.job(ref)) == -1
    assert jobs.due_at(ref) is not None


def test_holds_tells_known_jobs_from_unknown(jobs: Jobs) -> None:
    known, unknown = jobs.create(), new_ref()

    assert jobs.ledger.holds([known, unknown]) == {known}


def test_a_worker_is_alive_until_its_last_heartbeat_is_too_old(jobs: Jobs) -> None:
    jobs.ledger.heartbeat(Stage.ML, "ml@a")
    jobs.ledger.heartbeat(Stage.ML, "ml@b")
    jobs.redis.zadd(Key.workers(Stage.ML), {"ml@b": jobs.now() - 60})

    assert jobs.ledger.alive() == {Stage.ML: 1, Stage.GEMINI: 0, Stage.FUSION: 0}


def test_dead_letters_come_latest_first(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(max_deliveries=1)
    refs = [jobs.create() for _ in range(3)]
    for ref in refs:
        jobs.ledger.release(jobs.claim(ref, Stage.ML), "broke")

    assert [ref for ref, _ in jobs.ledger.dead_letters(limit=2)] == refs[:0:-1]


def test_late_readings_are_counted(jobs: Jobs) -> None:
    ref = jobs.create()
    claim = jobs.claim(ref, Stage.GEMINI)
    jobs.ledger.cancel(ref)

    jobs.ledger.settle(claim, gemini_reading())

    assert jobs.ledger.counters()["late:gemini"] == 1


def test_every_change_grows_the_version_by_one(jobs: Jobs) -> None:
    ref = jobs.create()

    versions = [jobs.record(ref).version]
    for stage in READERS:
        jobs.settle(ref, stage)
        versions.append(jobs.record(ref).version)
    jobs.complete(ref)
    versions.append(jobs.record(ref).version)

    assert versions == [1, 3, 5, 7]
