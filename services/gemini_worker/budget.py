"""How often Gemini is asked for one reading, and how long that may take all in all.

Between the task and the reader: attempts and the pauses between them, until one deadline.
"""

import random
import time
from collections.abc import Callable

from services.gemini_worker.failure import NotSentError, ReadingFailedError
from services.gemini_worker.reader import SecondReader
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
    spent_s: float = 0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> str:
    """Gemini's text about `image`, within `gemini_timeout_s`, of which `spent_s` is gone, and `gemini_attempts`.

    `jitter` gives numbers in [0, 1). Raises the last attempt's ReadingFailedError, at once when waiting for
    another attempt would overrun the budget. Where another attempt may not be sent, the failure before it is told.
    """
    deadline = clock() + settings.gemini_timeout_s - spent_s
    attempt = 1
    told: ReadingFailedError | None = None
    while True:
        try:
            return reader.read(image, timeout_s=deadline - clock())
        except NotSentError as refusal:
            raise told or refusal from None
        except ReadingFailedError as failure:
            told = failure
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
