"""A reader that asks first whether Gemini may be asked: the circuit, then the limits, then the call itself."""

import time

from services.gemini_worker.circuit import CircuitBreaker
from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.limit import RequestLimit
from services.gemini_worker.reader import SecondReader

#: The share of its time that a call keeps for itself, and no token is waited for: a call cut short by our own limit
#: would count as a time-out of Gemini's.
_CALL_SHARE = 0.5


class GuardedReader:
    """A `SecondReader` around another; raises NotSentError where nothing was sent.

    LedgerUnavailableError when Redis is away: then nothing is sent either.
    """

    def __init__(self, reader: SecondReader, circuit: CircuitBreaker, limit: RequestLimit) -> None:
        self._reader = reader
        self._circuit = circuit
        self._limit = limit

    def read(self, image: bytes, *, timeout_s: float) -> str:
        """See `SecondReader`; `timeout_s` includes the wait for the limit."""
        deadline = time.monotonic() + timeout_s
        # The circuit first: what it refuses shall cost no token.
        admission = self._circuit.admit()
        try:
            self._limit.take(patience_s=timeout_s * (1 - _CALL_SHARE))
            text = self._reader.read(image, timeout_s=deadline - time.monotonic())
        except ReadingFailedError as failure:
            self._circuit.record(admission, failure)
            raise
        self._circuit.record(admission, None)
        return text
