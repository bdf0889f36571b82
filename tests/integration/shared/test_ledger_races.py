"""Many at once: whatever the order, each thing happens exactly once."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest

from shared.errors import MediScanError, TooManyError
from shared.job_state import TERMINAL, JobState
from shared.ledger import Claim, Limits, Settled
from shared.ledger.admission import Verdict
from shared.names import Stage
from tests.support.jobs import EVERY_STAGE, READINGS, Jobs
from tests.support.samples import SKIPPED, fused_result, ml_reading, new_job, new_ref, new_token

T = TypeVar("T")

_THREADS = 50


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Call each from a thread of its own, all released together; the answers in order."""
    barrier = Barrier(len(calls))

    def wait_and(call: Callable[[], T]) -> T:
        barrier.wait(timeout=30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and, calls))


def test_of_many_deliveries_exactly_one_claims(jobs: Jobs) -> None:
    ref = jobs.create()

    claims = at_once(
        [lambda: jobs.ledger.claim(ref, Stage.ML, token=new_token()) for _ in range(_THREADS)],
    )

    assert sum(claim is not None for claim in claims) == 1
    assert jobs.record(ref).stages[Stage.ML].deliveries == 1


def test_of_both_readings_settled_at_once_exactly_one_opens_fusion(jobs: Jobs) -> None:
    refs = [jobs.create() for _ in range(_THREADS // 2)]
    claims = [jobs.claim(ref, stage) for ref in refs for stage in READINGS]

    def settling(claim: Claim) -> Callable[[], tuple[str, Settled]]:
        return lambda: (claim.job.ref.job_id, jobs.ledger.settle(claim, READINGS[claim.stage]))

    answers = Counter(at_once([settling(claim) for claim in claims]))

    assert answers == Counter(
        {(ref.job_id, answer): 1 for ref in refs for answer in (Settled.SETTLED, Settled.FUSE)},
    )


def test_a_settling_worker_and_the_end_of_the_grace_open_fusion_once(jobs: Jobs) -> None:
    refs = [jobs.create() for _ in range(_THREADS // 2)]
    claims = [jobs.claim(ref, Stage.GEMINI) for ref in refs]
    for ref in refs:
        jobs.settle(ref, Stage.ML)
        jobs.long_ago(ref, "ml.settled_at", seconds=60)

    def settling(claim: Claim) -> Callable[[], bool]:
        return lambda: jobs.ledger.settle(claim, READINGS[Stage.GEMINI]) is Settled.FUSE

    def reaping(claim: Claim) -> Callable[[], bool]:
        return lambda: jobs.reap(claim.job.ref) == [Stage.FUSION]

    opened = at_once([make(claim) for claim in claims for make in (settling, reaping)])

    assert [opened[i] + opened[i + 1] for i in range(0, len(opened), 2)] == [1] * len(refs)


def test_many_reapers_publish_a_lost_message_once(jobs: Jobs) -> None:
    ref = jobs.create()
    jobs.long_ago(ref, "ml.look_at", "gemini.look_at")

    published = at_once([lambda: jobs.reap(ref, empty=EVERY_STAGE) for _ in range(_THREADS)])

    assert sorted(map(len, published)) == [0] * (_THREADS - 1) + [2]


def test_of_many_results_exactly_one_is_stored(jobs: Jobs) -> None:
    claim = jobs.claim(jobs.fusable(), Stage.FUSION)

    def completing(number: int) -> Callable[[], object]:
        return lambda: jobs.ledger.complete(claim, fused_result(p_positive=number / 100))

    finished = at_once([completing(number) for number in range(_THREADS)])

    assert all(answer == jobs.record(claim.job.ref) for answer in finished)


@pytest.mark.parametrize("attempt", range(5))
def test_cancel_and_conclude_at_once_end_the_job_in_one_way(jobs: Jobs, attempt: int) -> None:
    claim = jobs.claim(jobs.create(gemini_skipped=SKIPPED), Stage.ML)
    ref = claim.job.ref

    cancelled, is_concluded = at_once(
        [
            lambda: jobs.ledger.cancel(ref),
            lambda: jobs.ledger.conclude(claim, ml_reading(), fused_result()),
        ],
    )

    ended = jobs.record(ref)
    assert cancelled == ended
    assert is_concluded == (ended.state is JobState.COMPLETED)


@pytest.mark.parametrize("attempt", range(5))
def test_cancel_and_complete_at_once_end_the_job_in_one_way(jobs: Jobs, attempt: int) -> None:
    claim = jobs.claim(jobs.fusable(), Stage.FUSION)
    ref = claim.job.ref

    cancelled, completed = at_once(
        [lambda: jobs.ledger.cancel(ref), lambda: jobs.ledger.complete(claim, fused_result())],
    )

    ended = jobs.record(ref)
    assert cancelled == ended
    assert completed == (ended if ended.state is JobState.COMPLETED else None)
    assert ended.state in TERMINAL


def test_of_many_submissions_no_more_than_the_house_takes_are_recorded(jobs: Jobs) -> None:
    admission = jobs.ledger.admit(new_ref(), Limits(max_live=7, max_live_of_tenant=5))

    def creating(tenant: str) -> Callable[[], str]:
        def create() -> str:
            try:
                jobs.ledger.create(new_ref(tenant), new_job(), admission)
            except MediScanError as error:
                return error.code
            return tenant

        return create

    answers = Counter(at_once([creating(tenant) for tenant in "ab" * (_THREADS // 2)]))

    assert answers["a"] + answers["b"] == 7
    assert max(answers["a"], answers["b"]) <= 5
    assert jobs.ledger.live_jobs() == {tenant: answers[tenant] for tenant in "ab" if answers[tenant]}
    assert answers["house_full"] + answers["tenant_full"] == _THREADS - 7


def test_of_many_submissions_no_more_than_the_quota_are_recorded(jobs: Jobs) -> None:
    admission = jobs.ledger.admit(new_ref(), Limits(key_id="k", per_day=6))

    def create() -> bool:
        try:
            return bool(jobs.ledger.create(new_ref(), new_job(), admission))
        except TooManyError:
            return False

    assert sum(at_once([create] * _THREADS)) == 6


def test_of_many_submissions_no_more_than_the_rate_are_admitted(jobs: Jobs) -> None:
    limits = Limits(key_id="k", per_minute=9)

    began = jobs.now()
    verdicts = Counter(at_once([lambda: jobs.ledger.admit(new_ref(), limits).verdict] * _THREADS))

    assert 9 <= verdicts[Verdict.ADMITTED] <= 9 + (jobs.now() - began) * 9 / 60
    assert verdicts[Verdict.RATE_LIMITED] == _THREADS - verdicts[Verdict.ADMITTED]
