"""A call ends in time for its caller, whatever the server does."""

import threading
import time
from collections.abc import Callable

import pytest

from services.gemini_worker.bounded import BoundedReader
from services.gemini_worker.failure import ReadingFailedError
from shared.contracts import UnavailableReason


class Reader:
    """Does as it is told, and keeps the time it was given."""

    def __init__(self, do: Callable[[], str]) -> None:
        self._do = do
        self.timeout_s = 0.0

    def read(self, image: bytes, *, timeout_s: float) -> str:
        self.timeout_s = timeout_s
        return self._do()


def test_an_answer_in_time_is_passed_on() -> None:
    inner = Reader(lambda: "text")
    assert BoundedReader(inner).read(b"pixels", timeout_s=10) == "text"
    assert inner.timeout_s == 10


def test_a_failure_in_time_is_passed_on() -> None:
    def fail() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        BoundedReader(Reader(fail)).read(b"pixels", timeout_s=10)


def test_a_reader_that_never_returns_is_abandoned() -> None:
    released = threading.Event()

    def trickle() -> str:
        released.wait()
        return "too late"

    started = time.monotonic()
    with pytest.raises(ReadingFailedError) as caught:
        BoundedReader(Reader(trickle)).read(b"pixels", timeout_s=0.2)
    assert caught.value.reason is UnavailableReason.TIMEOUT
    assert time.monotonic() - started < 5
    released.set()
