"""What is asked before Gemini is, in which order, and what the circuit is told of it."""

from typing import cast

import pytest

from services.gemini_worker.circuit import Admission, CircuitBreaker
from services.gemini_worker.failure import NotSentError, ReadingFailedError
from services.gemini_worker.guarded import GuardedReader
from services.gemini_worker.limit import RequestLimit
from shared.contracts import UnavailableReason

TIMEOUT = ReadingFailedError(UnavailableReason.TIMEOUT, "A sentence.")
OPEN = NotSentError(UnavailableReason.CIRCUIT_OPEN, "A sentence.")
LIMITED = NotSentError(UnavailableReason.RATE_LIMITED, "A sentence.")


class Diary:
    """Circuit, limit and reader in one: writes down what it is asked, and fails where told to."""

    def __init__(self, **failures: Exception) -> None:
        self._failures = failures
        self.said: list[object] = []

    def _note(self, what: str) -> None:
        self.said.append(what)
        if what in self._failures:
            raise self._failures[what]

    def admit(self) -> Admission:
        self._note("admit")
        return Admission("token", "1")

    def record(self, admission: Admission, failure: ReadingFailedError | None) -> None:
        self.said.append(failure)

    def take(self, *, patience_s: float) -> None:
        assert patience_s == 7
        self._note("take")

    def read(self, image: bytes, *, timeout_s: float) -> str:
        assert 0 < timeout_s <= 10
        self._note("read")
        return "text"


def read(diary: Diary) -> str:
    guarded = GuardedReader(diary, cast(CircuitBreaker, diary), cast(RequestLimit, diary), call_s=3)
    return guarded.read(b"pixels", timeout_s=10)


def test_an_answer_is_counted() -> None:
    diary = Diary()
    assert read(diary) == "text"
    assert diary.said == ["admit", "take", "read", None]


@pytest.mark.parametrize(
    ("step", "failure", "said"),
    [
        # An open circuit costs no token.
        ("admit", OPEN, ["admit"]),
        # A probe that may not go out gives its place back.
        ("take", LIMITED, ["admit", "take", LIMITED]),
        ("read", TIMEOUT, ["admit", "take", "read", TIMEOUT]),
    ],
)
def test_each_failure_is_told_and_counted(step: str, failure: Exception, said: list[object]) -> None:
    diary = Diary(**{step: failure})
    with pytest.raises(type(failure)) as caught:
        read(diary)
    assert caught.value is failure
    assert diary.said == said


def test_a_mistake_of_ours_is_not_counted() -> None:
    diary = Diary(read=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        read(diary)
    assert diary.said == ["admit", "take", "read"]
