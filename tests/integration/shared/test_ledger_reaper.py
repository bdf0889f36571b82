"""The reaper rescues what was lost, leaves alone what is only waiting, and ends every wait."""

from collections.abc import Callable, Collection

import pytest

from shared.contracts import JobError, UnavailableReading, UnavailableReason
from shared.job_state import TERMINAL, JobState, StageState
from shared.ledger import Released
from shared.names import JobRef, Key, Priority, Stage
from tests.support.jobs import EVERY_STAGE, Jobs
from tests.support.samples import RATE_LIMITED, SKIPPED, fused_result, new_ref

MakeJobs = Callable[..., Jobs]

#: Further back than any reordering that is taken for normal.
_LONG_S = 60.0


def unclaimed_for(jobs: Jobs, ref: JobRef, stage: Stage, seconds: float = _LONG_S) -> None:
    """As if the stage's message had been published that long ago."""
    jobs.long_ago(ref, f"{stage}.published_at", f"{stage}.look_at", seconds=seconds)


def pending(jobs: Jobs, stage: Stage, **changed: object) -> JobRef:
    """A job whose `stage` waits to be claimed."""
    if stage is Stage.FUSION:
        return jobs.fusable()
    ref = jobs.create(**changed)
    if stage is Stage.GEMINI:
        jobs.claim(ref, Stage.ML)
    else:
        jobs.claim(ref, Stage.GEMINI)
    return ref


# --- when it looks ----------------------------------------------------------------------------------------


def test_a_job_that_is_not_due_is_left_alone(jobs: Jobs) -> None:
    ref = jobs.create()
    before = jobs.stored(ref)

    assert jobs.reap(ref, empty=EVERY_STAGE, deserted=EVERY_STAGE) == []
    assert jobs.stored(ref) == before


def test_only_due_jobs_are_listed_and_the_longest_overdue_first(jobs: Jobs) -> None:
    refs = [jobs.create() for _ in range(4)]
    for seconds, ref in enumerate(refs[:3], start=1):
        jobs.long_ago(ref, seconds=seconds)

    assert jobs.ledger.due(10) == refs[2::-1]
    assert jobs.ledger.due(2) == refs[2:0:-1]


def test_a_vanished_job_is_cleaned_up(jobs: Jobs) -> None:
    ref = new_ref()
    jobs.long_ago(ref)

    assert jobs.reap(ref) == []
    assert jobs.due_at(ref) is None


# --- lost messages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("stage", [Stage.ML, Stage.GEMINI])
def test_a_message_missing_from_an_empty_queue_is_published_again(
    jobs: Jobs, stage: Stage, priority: Priority
) -> None:
    ref = pending(jobs, stage, priority=priority)
    unclaimed_for(jobs, ref, stage)

    [action] = jobs.reap_due(empty={stage})

    assert (action.ref, action.stage, action.priority) == (ref, stage, priority)
    assert jobs.ledger.counters()[f"republished:{stage}"] == 1


def test_a_lost_fusion_message_is_published_again(jobs: Jobs) -> None:
    ref = jobs.fusable()
    unclaimed_for(jobs, ref, Stage.FUSION)

    assert jobs.reap(ref, empty={Stage.FUSION}) == [Stage.FUSION]


def test_a_message_just_published_again_is_not_suspected(jobs: Jobs) -> None:
    ref = pending(jobs, Stage.ML)
    unclaimed_for(jobs, ref, Stage.ML)
    jobs.reap(ref, empty=EVERY_STAGE)

    assert jobs.reap(ref, empty=EVERY_STAGE) == []


@pytest.mark.parametrize("stage", Stage)
def test_a_message_overtaken_by_a_later_one_is_published_again(jobs: Jobs, stage: Stage) -> None:
    lost, later = pending(jobs, stage), pending(jobs, stage)
    unclaimed_for(jobs, lost, stage)
    jobs.claim(later, stage)

    assert jobs.reap(lost) == [stage]


def test_a_routine_message_overtaken_by_a_stat_one_is_not_lost(jobs: Jobs) -> None:
    routine, stat = pending(jobs, Stage.ML), pending(jobs, Stage.ML, priority=Priority.STAT)
    unclaimed_for(jobs, routine, Stage.ML)
    jobs.claim(stat, Stage.ML)

    assert jobs.reap(routine) == []


def test_messages_published_close_together_may_be_claimed_in_either_order(jobs: Jobs) -> None:
    first, second = pending(jobs, Stage.ML), pending(jobs, Stage.ML)
    jobs.long_ago(first, "ml.look_at")
    jobs.claim(second, Stage.ML)

    assert jobs.reap(first) == []


def test_a_message_published_twice_does_not_make_others_look_overtaken(jobs: Jobs) -> None:
    repeated, waiting = pending(jobs, Stage.ML), pending(jobs, Stage.ML)
    unclaimed_for(jobs, repeated, Stage.ML)
    jobs.reap(repeated, empty=EVERY_STAGE)
    jobs.claim(repeated, Stage.ML)
    unclaimed_for(jobs, waiting, Stage.ML)

    assert jobs.reap(waiting) == []


def test_a_deep_healthy_backlog_is_not_published_again(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(republish_after_s=30)
    refs = [jobs.create(gemini_skipped=SKIPPED) for _ in range(2000)]
    then = jobs.now() - _LONG_S
    with jobs.redis.pipeline() as pipe:
        for ref in refs:
            pipe.hset(Key.job(ref), mapping={"ml.published_at": then, "ml.look_at": then})
        pipe.zadd(Key.DUE, {str(ref): then for ref in refs})
        pipe.execute()

    assert len(jobs.ledger.due(3000)) == 2000
    assert jobs.reap_due() == []
    assert "republished:ml" not in jobs.ledger.counters()
    assert jobs.ledger.due(2000) == []


def test_a_waiting_job_is_looked_at_a_few_times_before_its_deadline(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(republish_after_s=5)
    ref = jobs.create(gemini_skipped=SKIPPED)
    pauses = []
    for left in (800, 400, 20, 6):
        jobs.redis.hset(Key.job(ref), "deadline_at", jobs.now() + left)
        jobs.long_ago(ref, "ml.look_at")
        before = jobs.now()
        assert jobs.reap(ref) == []
        next_look = jobs.due_at(ref)
        assert next_look is not None
        pauses.append(next_look - before)

    assert pauses == pytest.approx([400, 200, 10, 5], abs=0.5)


def test_after_the_clock_was_set_back_waiting_messages_do_not_look_lost(jobs: Jobs) -> None:
    claimed, waiting, later = (pending(jobs, Stage.ML) for _ in range(3))
    jobs.long_ago(claimed, "ml.published_at", seconds=-300)
    jobs.claim(claimed, Stage.ML)
    unclaimed_for(jobs, waiting, Stage.ML)

    assert jobs.reap(waiting) == []

    jobs.claim(later, Stage.ML)  # what is claimed now counts again
    jobs.long_ago(waiting, "ml.look_at")
    assert jobs.reap(waiting) == [Stage.ML]


# --- lost messages of jobs that are looked at rarely ------------------------------------------------------


def looked_at_rarely(jobs: Jobs, ref: JobRef, stage: Stage) -> None:
    """As if the job had waited for a minute in a deep backlog: its next look is an hour off."""
    later = jobs.now() + 3600
    jobs.long_ago(ref, f"{stage}.published_at", seconds=_LONG_S)
    if stage is not Stage.FUSION:
        jobs.redis.zadd(Key.work(stage, Priority.ROUTINE), {str(ref): jobs.now() - _LONG_S})
    jobs.redis.hset(Key.job(ref), f"{stage}.look_at", f"{later:.6f}")
    jobs.redis.zadd(Key.DUE, {str(ref): later})


def rescued(jobs: Jobs, *, empty: Collection[Stage] = ()) -> list[tuple[JobRef, Stage | None]]:
    """What the reaper publishes although it is not due."""
    refs = jobs.ledger.suspects(100, empty=set(empty))
    actions = jobs.ledger.reap(refs, empty=set(empty), deserted=set(), suspected=True)
    return [(action.ref, action.stage) for action in actions]


@pytest.mark.parametrize("stage", [Stage.ML, Stage.GEMINI])
def test_what_a_queue_lost_is_published_long_before_its_next_look(make_jobs: MakeJobs, stage: Stage) -> None:
    jobs = make_jobs(republish_after_s=5)
    ref = pending(jobs, stage)
    looked_at_rarely(jobs, ref, stage)
    assert jobs.ledger.waits_long()
    assert rescued(jobs) == []

    assert rescued(jobs, empty={stage}) == [(ref, stage)]

    assert rescued(jobs, empty={stage}) == []  # its message is young again
    assert jobs.due_at(ref) == pytest.approx(jobs.now() + 5, abs=1)
    assert jobs.ledger.counters()[f"republished:{stage}"] == 1


def test_what_was_overtaken_is_published_long_before_its_next_look(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(republish_after_s=5)
    lost, later = pending(jobs, Stage.ML), pending(jobs, Stage.ML)
    looked_at_rarely(jobs, lost, Stage.ML)
    jobs.claim(later, Stage.ML)

    assert rescued(jobs) == [(lost, Stage.ML)]


def test_a_deep_healthy_backlog_is_not_suspected(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(republish_after_s=5)
    refs = [pending(jobs, Stage.ML) for _ in range(20)]
    for ref in refs:
        looked_at_rarely(jobs, ref, Stage.ML)
    jobs.claim(refs[0], Stage.ML)

    assert jobs.ledger.waits_long()
    assert jobs.ledger.suspects(100, empty={Stage.GEMINI, Stage.FUSION}) == []


def test_who_waits_only_a_moment_is_not_suspected(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(republish_after_s=5)
    pending(jobs, Stage.ML)

    assert not jobs.ledger.waits_long()
    assert jobs.ledger.suspects(100, empty=set(EVERY_STAGE)) == []


def test_what_was_put_off_is_not_suspected(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(republish_after_s=1, retry_pause_s=100)
    ref = pending(jobs, Stage.ML)
    claim = jobs.claim(ref, Stage.ML)
    jobs.ledger.put_off(claim)
    jobs.redis.zadd(Key.work(Stage.ML, Priority.ROUTINE), {str(ref): jobs.now() - _LONG_S})
    before = jobs.stored(ref)

    assert rescued(jobs, empty=EVERY_STAGE) == []
    assert jobs.ledger.reap([ref], empty=set(EVERY_STAGE), deserted=set(), suspected=True) == []
    assert jobs.stored(ref) == before


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_suspicion_moves_nothing_that_is_over(jobs: Jobs, state: JobState) -> None:
    ref = jobs.ended(state)
    assert jobs.ledger.archived(ref)
    before = jobs.stored(ref)

    assert jobs.ledger.reap([ref], empty=set(EVERY_STAGE), deserted=set(), suspected=True) == []
    assert jobs.stored(ref) == before
    assert jobs.due_at(ref) is None


# --- dead workers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_whose_worker_died_is_freed_and_published(jobs: Jobs, stage: Stage) -> None:
    ref = pending(jobs, stage)
    jobs.claim(ref, stage)
    jobs.long_ago(ref, f"{stage}.lease_until")

    assert jobs.reap(ref) == [stage]
    assert jobs.record(ref).stages[stage].state is StageState.PENDING
    assert jobs.claim(ref, stage).job.stages[stage].deliveries == 2
    assert jobs.ledger.counters()[f"rescued:{stage}"] == 1


@pytest.mark.parametrize("stage", Stage)
def test_a_lease_that_still_runs_is_respected(jobs: Jobs, stage: Stage) -> None:
    ref = pending(jobs, stage)
    jobs.claim(ref, stage)
    jobs.long_ago(ref)

    assert jobs.reap(ref, empty=EVERY_STAGE, deserted=EVERY_STAGE) == []
    assert jobs.record(ref).stages[stage].state is StageState.CLAIMED


def lose_worker(jobs: Jobs, ref: JobRef, stage: Stage) -> list[Stage | None]:
    """Claim, never come back, and let the reaper find out."""
    jobs.claim(ref, stage)
    jobs.long_ago(ref, f"{stage}.lease_until")
    return jobs.reap(ref)


@pytest.mark.parametrize("stage", [Stage.ML, Stage.FUSION])
def test_a_stage_that_kills_every_worker_is_a_dead_letter(make_jobs: MakeJobs, stage: Stage) -> None:
    jobs = make_jobs(max_deliveries=2)
    ref = pending(jobs, stage)

    answers = [lose_worker(jobs, ref, stage) for _ in range(2)]

    record = jobs.record(ref)
    assert answers == [[stage], []]
    assert record.state is JobState.FAILED
    assert record.error is not None
    assert record.error.code == f"{stage}_gave_up"
    assert record.stages[stage].deliveries == 2
    assert [dead for dead, _ in jobs.ledger.dead_letters()] == [ref]


def test_gemini_killing_every_worker_is_unavailable_and_the_job_goes_on(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(max_deliveries=2)
    ref = pending(jobs, Stage.GEMINI)

    answers = [lose_worker(jobs, ref, Stage.GEMINI) for _ in range(2)]

    record = jobs.record(ref)
    assert answers == [[Stage.GEMINI], []]
    assert record.state is JobState.RUNNING
    assert isinstance(record.gemini, UnavailableReading)
    assert record.gemini.reason is UnavailableReason.WORKER_LOST


# --- the grace for Gemini ---------------------------------------------------------------------------------


def awaiting_gemini(jobs: Jobs) -> JobRef:
    """A job whose ML reading is there and whose grace is over."""
    ref = jobs.create()
    jobs.settle(ref, Stage.ML)
    jobs.long_ago(ref, "ml.settled_at", seconds=_LONG_S)
    return ref


def gemini_outcome(jobs: Jobs, ref: JobRef) -> UnavailableReason:
    reading = jobs.record(ref).gemini
    assert isinstance(reading, UnavailableReading)
    return reading.reason


def test_with_no_gemini_worker_the_grace_ends_in_no_worker(jobs: Jobs) -> None:
    ref = awaiting_gemini(jobs)

    assert jobs.reap(ref, deserted={Stage.GEMINI}) == [Stage.FUSION]
    assert gemini_outcome(jobs, ref) is UnavailableReason.NO_WORKER


def test_with_gemini_workers_busy_the_grace_ends_in_busy(jobs: Jobs) -> None:
    ref = awaiting_gemini(jobs)

    assert jobs.reap(ref) == [Stage.FUSION]
    assert gemini_outcome(jobs, ref) is UnavailableReason.BUSY


def test_with_gemini_still_at_work_the_grace_ends_in_timeout(jobs: Jobs) -> None:
    ref = awaiting_gemini(jobs)
    jobs.claim(ref, Stage.GEMINI)
    jobs.long_ago(ref)

    assert jobs.reap(ref) == [Stage.FUSION]
    assert gemini_outcome(jobs, ref) is UnavailableReason.TIMEOUT


def test_a_lease_that_ended_with_the_grace_is_not_delivered_again(jobs: Jobs) -> None:
    ref = awaiting_gemini(jobs)
    jobs.claim(ref, Stage.GEMINI)
    jobs.long_ago(ref, "gemini.lease_until")

    assert jobs.reap(ref) == [Stage.FUSION]
    assert gemini_outcome(jobs, ref) is UnavailableReason.TIMEOUT


def test_the_job_is_due_when_the_grace_ends(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(gemini_grace_s=3)
    ref = jobs.create()
    jobs.claim(ref, Stage.GEMINI)
    jobs.settle(ref, Stage.ML)

    assert jobs.due_at(ref) == pytest.approx(jobs.number(ref, "ml.settled_at") + 3)


def test_before_the_ml_reading_there_is_no_grace_to_end(jobs: Jobs) -> None:
    ref = jobs.create()
    jobs.long_ago(ref)

    assert jobs.reap(ref, deserted=EVERY_STAGE) == []
    assert jobs.record(ref).stages[Stage.GEMINI].state is StageState.PENDING


def test_an_unavailable_ml_reading_ends_the_wait_for_gemini_as_well(jobs: Jobs) -> None:
    ref = jobs.create()
    jobs.ledger.settle(jobs.claim(ref, Stage.ML), RATE_LIMITED)
    jobs.long_ago(ref, "ml.settled_at", seconds=_LONG_S)

    assert jobs.reap(ref) == [Stage.FUSION]


# --- the deadline, and after the end ----------------------------------------------------------------------


def undone(jobs: Jobs, state: JobState) -> JobRef:
    """A job that is queued or running."""
    ref = jobs.create()
    if state is JobState.RUNNING:
        jobs.claim(ref, Stage.ML)
    return ref


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_a_job_past_its_deadline_expires(jobs: Jobs, state: JobState) -> None:
    ref = undone(jobs, state)
    jobs.long_ago(ref, "deadline_at")

    assert jobs.reap(ref, empty=EVERY_STAGE) == []

    record = jobs.record(ref)
    assert record.state is JobState.EXPIRED
    assert record.error == JobError(
        code="deadline_passed", detail="The job was not finished before its deadline."
    )
    assert jobs.ledger.counters()["ended:expired"] == 1


def test_no_job_is_due_later_than_its_deadline(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(job_deadline_s=10, ml_lease_s=500, gemini_lease_s=500)
    ref = jobs.create()
    jobs.claim(ref, Stage.ML)
    jobs.claim(ref, Stage.GEMINI)

    assert jobs.due_at(ref) == pytest.approx(jobs.record(ref).deadline_at)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_finished_job_is_to_be_archived_until_it_was(jobs: Jobs, state: JobState) -> None:
    ref = jobs.ended(state)
    for _ in range(2):
        jobs.long_ago(ref)
        assert jobs.reap(ref) == [None]

    jobs.ledger.archived(ref)

    assert jobs.due_at(ref) is None
    assert jobs.redis.ttl(Key.job(ref)) > 0


def test_a_completed_job_gives_its_worker_time_to_archive_it_first(jobs: Jobs) -> None:
    ref = jobs.ended(JobState.COMPLETED)

    assert jobs.reap(ref) == []


def test_archiving_is_asked_for_again_only_after_a_while(jobs: Jobs) -> None:
    ref = jobs.ended(JobState.CANCELLED)

    assert [jobs.reap(ref), jobs.reap(ref)] == [[None], []]


# --- two of them ------------------------------------------------------------------------------------------


def test_two_reapers_over_the_same_list_do_each_thing_once(make_jobs: MakeJobs) -> None:
    one, other = make_jobs(), make_jobs()
    lost, abandoned, finished = one.create(gemini_skipped=SKIPPED), one.create(), one.fusable()
    one.claim(abandoned, Stage.ML)
    one.complete(finished, fused_result())
    unclaimed_for(one, lost, Stage.ML)
    one.long_ago(abandoned, "ml.lease_until", "gemini.look_at")
    one.long_ago(finished)
    due = one.ledger.due(10)

    first = one.ledger.reap(due, empty={Stage.ML}, deserted=set())
    second = other.ledger.reap(due, empty={Stage.ML}, deserted=set())

    assert {(action.ref, action.stage) for action in first} == {
        (lost, Stage.ML),
        (abandoned, Stage.ML),
        (finished, None),
    }
    assert second == []


# --- nobody to blame --------------------------------------------------------------------------------------


def test_a_stage_put_off_comes_back_as_often_as_it_takes(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(max_deliveries=2)
    ref = jobs.create(gemini_skipped=SKIPPED)

    for _ in range(5):
        assert jobs.ledger.put_off(jobs.claim(ref, Stage.ML)) is Released.RELEASED
        assert jobs.reap(ref) == []  # not before a pause
        jobs.long_ago(ref, "ml.look_at")
        assert jobs.reap(ref) == [Stage.ML]

    assert jobs.claim(ref, Stage.ML).job.stages[Stage.ML].deliveries == 1
    assert jobs.ledger.counters()["put_off:ml"] == 5


def test_a_stage_that_is_no_longer_held_is_not_put_off(jobs: Jobs) -> None:
    ref = jobs.create()
    claim = jobs.claim(ref, Stage.ML)
    jobs.ledger.cancel(ref)

    assert jobs.ledger.put_off(claim) is Released.LATE
