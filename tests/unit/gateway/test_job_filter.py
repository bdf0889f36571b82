"""Which jobs a list shows."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.gateway.job_filter import JobFilter
from shared.contracts import Label, RiskBand
from shared.job_state import JobState
from shared.names import first_job_id, job_hour, new_job_id
from tests.support.samples import new_ref
from tests.support.stored_jobs import finished

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
COMPLETED = finished(new_ref(), NOON.timestamp(), "completed", needs_review=True)
FAILED = finished(new_ref(), NOON.timestamp(), "failed")


@pytest.mark.parametrize(
    ("wanted", "completed", "failed"),
    [
        (JobFilter(), True, True),
        (JobFilter(state=JobState.FAILED), False, True),
        (JobFilter(label=Label.POSITIVE), True, False),
        (JobFilter(label=Label.NEGATIVE), False, False),
        (JobFilter(risk_band=RiskBand.MODERATE), True, False),
        (JobFilter(risk_band=RiskBand.LOW), False, False),
        (JobFilter(needs_review=True), True, False),
        (JobFilter(needs_review=False), False, False),
        (JobFilter(label=Label.POSITIVE, state=JobState.FAILED), False, False),
        (JobFilter(since=NOON), True, True),
        (JobFilter(since=NOON + timedelta(microseconds=1)), False, False),
        (JobFilter(until=NOON), False, False),
        (JobFilter(until=NOON + timedelta(microseconds=1)), True, True),
        (JobFilter(since=datetime(2026, 1, 31, 12)), True, True),  # noqa: DTZ001 - that is the case
        (JobFilter(since=NOON.astimezone(timezone(timedelta(hours=9)))), True, True),
    ],
)
def test_all_that_is_given_must_hold(wanted: JobFilter, completed: bool, failed: bool) -> None:
    assert (wanted.admits(COMPLETED), wanted.admits(FAILED)) == (completed, failed)


@pytest.mark.parametrize("at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), NOON])
def test_any_time_is_a_bound_that_ids_can_be_compared_with(at: datetime) -> None:
    wanted = JobFilter(since=at, until=at)
    oldest, newest = first_job_id(wanted.oldest_s), first_job_id(wanted.newest_s)
    assert len(oldest) == len(newest) == len(new_job_id())
    assert oldest <= newest
    assert job_hour(oldest) <= job_hour(newest)


def test_without_a_time_every_id_is_within_the_bounds() -> None:
    assert first_job_id(JobFilter().oldest_s) < new_job_id() < first_job_id(JobFilter().newest_s)
