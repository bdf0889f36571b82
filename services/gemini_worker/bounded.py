"""A reader whose every call ends in time, whatever the server does.

Neither library can promise that: their time-outs count from the last byte received, so a server that trickles
holds the caller for ever.
"""

import threading
from concurrent.futures import Future, wait

from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.reader import SecondReader
from shared.contracts import UnavailableReason


class BoundedReader:
    """A `SecondReader` around another, which `timeout_s` bounds in sum."""

    def __init__(self, reader: SecondReader) -> None:
        self._reader = reader

    def read(self, image: bytes, *, timeout_s: float) -> str:
        """See `SecondReader`.

        The call runs in a daemon thread of its own, which is abandoned when time is up: a silent server's thread
        ends by the same time-out, a trickling server's with its last byte. No answer of an abandoned thread is
        ever used.
        """
        outcome: Future[str] = Future()
        threading.Thread(
            target=self._run, args=(outcome, image, timeout_s), name="gemini-call", daemon=True
        ).start()
        if not wait([outcome], timeout_s).done:
            raise ReadingFailedError(UnavailableReason.TIMEOUT, "Gemini did not answer in time.")
        return outcome.result()

    def _run(self, outcome: "Future[str]", image: bytes, seconds: float) -> None:
        try:
            outcome.set_result(self._reader.read(image, timeout_s=seconds))
        except BaseException as error:  # carried over to the caller's thread, and raised there
            outcome.set_exception(error)
