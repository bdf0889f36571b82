"""A reader that asks first whether Gemini may be asked: the circuit, then the limits, then the call itself."""

import time

from services.gemini_worker.circuit import CircuitBreaker
from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.limit import RequestLimit
from services.gemini_worker.reader import SecondReader


class GuardedReader:
    """A `SecondReader` around another; raises NotSentError where nothing was sent.

    LedgerUnavailableError when Redis is away: then nothing is sent either. `call_s`: what a call keeps for itself of
    its time, and the limit is not waited for. Cut short by our own limit, it would count as a time-out of Gemini's.
    """

    def __init__(
        self, reader: SecondReader, circuit: CircuitBreaker, limit: RequestLimit, *, call_s: float
    ) -> None:
        self._reader = reader
        self._circuit = circuit
        self._limit = limit
        self._call_s = call_s

    def read(self, image: bytes, *, timeout_s: float) -> str:
        """See `SecondReader`; `timeout_s` includes the wait for the limit."""
        deadline = time.monotonic() + timeout_s
        # The circuit first: what it refuses shall cost no token.
        admission = self._circuit.admit()
        try:
            self._limit.take(patience_s=timeout_s - self._call_s)
            text = self._reader.read(image, timeout_s=deadline - time.monotonic())
        except ReadingFailedError as failure:
            self._circuit.record(admission, failure)
            raise
        self._circuit.record(admission, None)
        return text
