"""What the ledger says to a submission before it comes in, and what it counts."""

from collections.abc import Callable

import pytest

from shared.errors import HouseFullError, TooManyError
from shared.job_state import TERMINAL, JobState
from shared.ledger import Limits
from shared.ledger.admission import Admission, Verdict
from shared.names import Key
from tests.support.jobs import Jobs
from tests.support.samples import new_job, new_ref


@pytest.fixture
def admit(jobs: Jobs) -> Callable[..., Admission]:
    """Ask for admission under these limits."""
    return lambda tenant="default", **limits: jobs.ledger.admit(new_ref(tenant), Limits(**limits))


def test_without_limits_everybody_is_admitted_and_nothing_written(
    jobs: Jobs, admit: Callable[..., Admission]
) -> None:
    admission = admit()

    admission.check()
    assert admission.headers() == {}
    assert list(jobs.redis.scan_iter()) == []


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_job_counts_as_live_until_it_is_over(jobs: Jobs, state: JobState) -> None:
    jobs.create()
    jobs.ended(state)

    assert jobs.ledger.live_jobs() == {"default": 1}


def test_a_repeated_creation_counts_once(jobs: Jobs, admit: Callable[..., Admission]) -> None:
    ref, admission = new_ref(), admit(key_id="k", per_day=5)
    for _ in range(3):
        jobs.ledger.create(ref, new_job(), admission)

    assert jobs.ledger.live_jobs() == {"default": 1}
    assert admit(key_id="k", per_day=5).left_today == 4


def test_a_full_house_takes_nobody(jobs: Jobs, admit: Callable[..., Admission]) -> None:
    jobs.create()
    assert admit("other", max_live=2).verdict is Verdict.ADMITTED
    jobs.create()

    with pytest.raises(HouseFullError) as refused:
        admit("other", max_live=2).check()
    assert (refused.value.status, refused.value.code) == (503, "house_full")


def test_a_tenant_with_its_share_waits_and_the_others_do_not(
    jobs: Jobs, admit: Callable[..., Admission]
) -> None:
    ref = jobs.create()

    with pytest.raises(TooManyError) as refused:
        admit(max_live=2, max_live_of_tenant=1).check()
    assert (refused.value.status, refused.value.code) == (429, "tenant_full")
    admit("other", max_live=2, max_live_of_tenant=1).check()
    jobs.ledger.cancel(ref)
    admit(max_live=2, max_live_of_tenant=1).check()


def test_a_refusal_takes_no_token(jobs: Jobs, admit: Callable[..., Admission]) -> None:
    jobs.create()

    assert admit(key_id="k", max_live=1, per_minute=3).left_this_minute == 3
    assert not jobs.redis.exists(Key.bucket("submit:k"))


def test_the_rate_is_a_minutes_worth_at_once_and_then_one_by_one(admit: Callable[..., Admission]) -> None:
    found = [admit(key_id="k", per_minute=3) for _ in range(4)]

    assert [admission.verdict for admission in found] == [Verdict.ADMITTED] * 3 + [Verdict.RATE_LIMITED]
    assert [admission.left_this_minute for admission in found] == [2, 1, 0, 0]
    with pytest.raises(TooManyError) as refused:
        found[-1].check()
    assert 0 < refused.value.retry_after_s <= 70
    assert admit(key_id="another", per_minute=3).verdict is Verdict.ADMITTED


def test_a_quota_counts_recorded_jobs_and_no_attempts(jobs: Jobs, admit: Callable[..., Admission]) -> None:
    for _ in range(5):
        admit(key_id="k", per_day=2).check()
    for _ in range(2):
        jobs.ledger.create(new_ref(), new_job(), admit(key_id="k", per_day=2))

    with pytest.raises(TooManyError) as refused:
        admit(key_id="k", per_day=2).check()
    assert refused.value.code == "quota_exceeded"
    assert 0 < refused.value.retry_after_s <= 86400


def test_headers_state_policy_and_what_is_left(admit: Callable[..., Admission]) -> None:
    admission = admit(key_id="k", per_minute=3, per_day=7)

    assert admission.headers()["RateLimit-Policy"] == '"minute";q=3;w=60, "day";q=7;w=86400'
    minute, day = admission.headers(accepted=True)["RateLimit"].split(", ")
    assert minute == '"minute";r=2;t=20'
    assert day.startswith('"day";r=6;t=')
    assert '"day";r=7;t=' in admission.headers()["RateLimit"]


# --- how long to wait for room ----------------------------------------------------------------------------


def test_while_nothing_ends_the_wait_is_a_guess(jobs: Jobs, admit: Callable[..., Admission]) -> None:
    jobs.create()

    assert admit(max_live=1).refused(Verdict.HOUSE_FULL).retry_after_s == 5


def test_the_rate_at_which_jobs_end_is_known(jobs: Jobs, admit: Callable[..., Admission]) -> None:
    for _ in range(40):
        jobs.ledger.cancel(jobs.create())

    # 40 in the ten seconds that are looked at; a little less where they took long and a window passed.
    assert 1 < admit().drain_per_s <= 4


def test_of_what_ended_in_the_window_before_a_part_still_counts(
    jobs: Jobs, admit: Callable[..., Admission]
) -> None:
    def ended(windows_ago: int) -> tuple[float, float, float]:
        began = jobs.now()
        window = int(began // 10)
        jobs.redis.delete(Key.DRAIN)
        jobs.redis.hset(Key.DRAIN, str(window - windows_ago), "1000")
        found = admit().drain_per_s
        # Not across a border between windows.
        return (began, found, jobs.now()) if jobs.now() // 10 == window else ended(windows_ago)

    began, found, done = ended(1)
    assert 100 - 10 * (done % 10) - 0.01 <= found <= 100 - 10 * (began % 10) + 0.01
    assert ended(2)[1] == 0


@pytest.mark.parametrize(
    ("live", "drain", "wait_s"), [(100, 2.0, 5.0), (100, 1000.0, 1.0), (10_000, 1.0, 60.0), (5, 0.0, 5.0)]
)
def test_a_tenth_of_the_backlog_is_waited_for_within_bounds(live: int, drain: float, wait_s: float) -> None:
    admission = Admission(Verdict.HOUSE_FULL, Limits(), live, drain, 0, 0, 0, 0, 0)

    assert admission.refused(Verdict.HOUSE_FULL).retry_after_s == wait_s
    assert admission.refused(Verdict.TENANT_FULL).retry_after_s == wait_s


def test_the_count_of_ended_jobs_expires(jobs: Jobs) -> None:
    jobs.ledger.cancel(jobs.create())

    assert 0 < jobs.redis.ttl(Key.DRAIN) <= 70
