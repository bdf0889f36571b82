"""How long Gemini may take, all in all: attempts, pauses between them, and servers that never finish.

Between the task and the client. Neither library can bound a call: their time-outs count from the last byte
received, so a server that trickles holds the caller for ever.
"""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from services.gemini_worker.client import SecondReader
from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import UnavailableReason

#: Failures that another attempt may cure. A time-out is not among them: it has used up the budget.
RETRYABLE = frozenset(
    {UnavailableReason.RATE_LIMITED, UnavailableReason.SERVER_ERROR, UnavailableReason.CONNECTION}
)
_FIRST_PAUSE_S = 0.5


def read_with_budget(
    reader: SecondReader,
    image: bytes,
    settings: GeminiWorkerSettings,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> str:
    """Gemini's text about `image`, within `gemini_timeout_s` and `gemini_attempts`.

    `jitter` gives numbers in [0, 1). Raises the last attempt's ReadingFailedError, at once when waiting for
    another attempt would overrun the budget.
    """
    deadline = clock() + settings.gemini_timeout_s
    attempt = 1
    while True:
        try:
            return _bounded(reader, image, deadline - clock())
        except ReadingFailedError as failure:
            pause = _pause_s(failure, attempt, jitter())
            last = attempt >= settings.gemini_attempts or failure.reason not in RETRYABLE
            if last or clock() + pause >= deadline:
                raise
        sleep(pause)
        attempt += 1


def _pause_s(failure: ReadingFailedError, attempt: int, jitter: float) -> float:
    """Doubling, between half and whole so that workers do not come back in step; never before the server allows."""
    backoff = _FIRST_PAUSE_S * 2.0 ** (attempt - 1) * (1 + jitter) / 2
    return max(backoff, failure.retry_after_s or 0)


def _bounded(reader: SecondReader, image: bytes, seconds: float) -> str:
    """One attempt that ends within `seconds` for the caller, whatever the server does.

    It runs in a daemon thread of its own, which is abandoned when time is up: a silent server's thread ends by
    the same time-out, a trickling server's with its last byte. No answer of an abandoned thread is ever used.
    """
    outcome: Future[str] = Future()
    threading.Thread(
        target=_run, args=(outcome, reader, image, seconds), name="gemini-call", daemon=True
    ).start()
    if not wait([outcome], seconds).done:
        raise ReadingFailedError(UnavailableReason.TIMEOUT, "Gemini did not answer in time.")
    return outcome.result()


def _run(outcome: "Future[str]", reader: SecondReader, image: bytes, seconds: float) -> None:
    try:
        outcome.set_result(reader.read(image, timeout_s=seconds))
    except BaseException as error:  # carried over to the caller's thread, and raised there
        outcome.set_exception(error)
