"""What each kind of failure says about Gemini's health."""

import pytest

from services.gemini_worker.circuit import Outcome, outcome_of
from services.gemini_worker.failure import NotSentError, ReadingFailedError
from shared.contracts import UnavailableReason

COUNTED = {
    UnavailableReason.TIMEOUT,
    UnavailableReason.SERVER_ERROR,
    UnavailableReason.CONNECTION,
    UnavailableReason.RATE_LIMITED,
    UnavailableReason.INVALID_RESPONSE,
}


def test_an_answer_is_an_answer() -> None:
    assert outcome_of(None) is Outcome.ANSWERED


@pytest.mark.parametrize("reason", sorted(COUNTED))
def test_these_count_as_failures(reason: UnavailableReason) -> None:
    assert outcome_of(ReadingFailedError(reason, "A sentence.")) is Outcome.FAILED


@pytest.mark.parametrize(
    "reason", sorted(set(UnavailableReason) - COUNTED - {UnavailableReason.KEY_REJECTED})
)
def test_what_depends_on_one_image_is_no_failure_of_gemini(reason: UnavailableReason) -> None:
    assert outcome_of(ReadingFailedError(reason, "A sentence.")) is Outcome.ANSWERED


def test_a_refused_key_opens_at_once() -> None:
    refused = ReadingFailedError(UnavailableReason.KEY_REJECTED, "A sentence.")
    assert outcome_of(refused) is Outcome.TRIPPED


@pytest.mark.parametrize(("wish_s", "outcome"), [(3.0, Outcome.TRIPPED), (0.0, Outcome.FAILED)])
def test_too_many_requests_opens_at_once_where_the_server_says_for_how_long(
    wish_s: float, outcome: Outcome
) -> None:
    assert outcome_of(ReadingFailedError(UnavailableReason.RATE_LIMITED, "A sentence.", wish_s)) is outcome


def test_an_overloaded_server_that_says_when_to_come_back_only_counts() -> None:
    overloaded = ReadingFailedError(UnavailableReason.SERVER_ERROR, "A sentence.", 30.0)
    assert outcome_of(overloaded) is Outcome.FAILED


@pytest.mark.parametrize("reason", [UnavailableReason.RATE_LIMITED, UnavailableReason.DAILY_BUDGET_SPENT])
def test_our_own_limits_say_nothing_about_gemini(reason: UnavailableReason) -> None:
    assert outcome_of(NotSentError(reason, "A sentence.", 5.0)) is Outcome.UNSENT
