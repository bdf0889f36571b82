"""The retry loop against a clock that only moves when told to."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from services.gemini_worker.budget import RETRYABLE, read_with_budget
from services.gemini_worker.failure import NotSentError, ReadingFailedError
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import UnavailableReason

IMAGE = b"pixels"


@dataclass
class Clock:
    """Time as the loop sees it; `sleep` is the only thing that passes it."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Scripted:
    """A reader that does each of `script` once."""

    def __init__(self, *script: str | BaseException) -> None:
        self._script: Iterator[str | BaseException] = iter(script)
        self.timeouts: list[float] = []

    def read(self, image: bytes, *, timeout_s: float) -> str:
        assert image == IMAGE
        self.timeouts.append(timeout_s)
        step = next(self._script)
        if isinstance(step, BaseException):
            raise step
        return step


def failed(reason: UnavailableReason, retry_after_s: float | None = None) -> ReadingFailedError:
    return ReadingFailedError(reason, "A sentence.", retry_after_s)


def ask(reader: Scripted, clock: Clock, *, attempts: int = 3, budget_s: float = 10, jitter: float = 0) -> str:
    settings = GeminiWorkerSettings(gemini_attempts=attempts, gemini_timeout_s=budget_s)
    return read_with_budget(reader, IMAGE, settings, clock=clock, sleep=clock.sleep, jitter=lambda: jitter)


def refused(reader: Scripted, clock: Clock, **options: float) -> ReadingFailedError:
    with pytest.raises(ReadingFailedError) as caught:
        ask(reader, clock, **options)  # type: ignore[arg-type] # attempts, where given, is whole
    return caught.value


def test_a_good_answer_is_asked_for_once_with_the_whole_budget() -> None:
    reader, clock = Scripted("text"), Clock()
    assert ask(reader, clock) == "text"
    assert reader.timeouts == [10]
    assert clock.slept == []


def test_another_attempt_gets_what_is_left_of_the_budget() -> None:
    reader, clock = Scripted(failed(UnavailableReason.SERVER_ERROR), "text"), Clock()
    assert ask(reader, clock) == "text"
    assert clock.slept == [0.25]
    assert reader.timeouts == [10, 9.75]


@pytest.mark.parametrize(("jitter", "pauses"), [(0.0, [0.25, 0.5]), (0.5, [0.375, 0.75])])
def test_pauses_double_and_are_jittered(jitter: float, pauses: list[float]) -> None:
    overloaded = failed(UnavailableReason.SERVER_ERROR)
    reader, clock = Scripted(overloaded, overloaded, "text"), Clock()
    ask(reader, clock, jitter=jitter)
    assert clock.slept == pauses


@pytest.mark.parametrize("reason", list(UnavailableReason))
def test_only_what_may_pass_is_tried_again(reason: UnavailableReason) -> None:
    reader, clock = Scripted(failed(reason), "text"), Clock()
    if reason in RETRYABLE:
        assert ask(reader, clock) == "text"
    else:
        assert refused(reader, clock).reason is reason


def test_retryable_is_what_we_think_it_is() -> None:
    assert {
        UnavailableReason.RATE_LIMITED,
        UnavailableReason.SERVER_ERROR,
        UnavailableReason.CONNECTION,
    } == RETRYABLE


def test_attempts_run_out_and_the_last_failure_is_told() -> None:
    reader, clock = (
        Scripted(failed(UnavailableReason.CONNECTION), failed(UnavailableReason.SERVER_ERROR), "too late"),
        Clock(),
    )
    assert refused(reader, clock, attempts=2).reason is UnavailableReason.SERVER_ERROR
    assert len(reader.timeouts) == 2


def test_the_server_s_wish_is_honoured() -> None:
    reader, clock = Scripted(failed(UnavailableReason.RATE_LIMITED, 4.0), "text"), Clock()
    ask(reader, clock)
    assert clock.slept == [4.0]


@pytest.mark.parametrize("wish", [10.0, 37.0])
def test_a_wish_beyond_the_budget_ends_it_at_once(wish: float) -> None:
    reader, clock = Scripted(failed(UnavailableReason.RATE_LIMITED, wish), "too late"), Clock()
    failure = refused(reader, clock)
    assert (failure.reason, failure.retry_after_s) == (UnavailableReason.RATE_LIMITED, wish)
    assert clock.slept == []


def test_a_mistake_of_ours_is_not_mistaken_for_gemini_s() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(Scripted(ZeroDivisionError()), Clock())


def test_what_was_spent_before_is_gone() -> None:
    reader, clock = Scripted("text"), Clock()
    settings = GeminiWorkerSettings(gemini_timeout_s=10)
    read_with_budget(reader, IMAGE, settings, spent_s=4, clock=clock, sleep=clock.sleep)
    assert reader.timeouts == [6]


def test_what_may_not_be_sent_is_told_at_once() -> None:
    refusal = NotSentError(UnavailableReason.RATE_LIMITED, "A sentence.", 1.0)
    reader, clock = Scripted(refusal, "too late"), Clock()
    assert refused(reader, clock) is refusal
    assert clock.slept == []


def test_an_attempt_that_may_not_be_sent_leaves_the_failure_before_it() -> None:
    refusal = NotSentError(UnavailableReason.CIRCUIT_OPEN, "A sentence.")
    reader, clock = Scripted(failed(UnavailableReason.SERVER_ERROR), refusal, "too late"), Clock()
    assert refused(reader, clock).reason is UnavailableReason.SERVER_ERROR
