"""How many requests may reach Gemini, all workers together: a rate a minute and a budget a UTC day.

Both are counted in Redis before a request goes out, retries and probes included. What is counted and then not
sent is lost, so a limit may be underspent and is never overspent; with Redis away nothing is sent.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.gemini_worker.failure import NotSentError
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import UnavailableReason
from shared.token_bucket import TokenBuckets

_NAME = "gemini"
#: One at a time: no minute ever sees more than its rate and one.
_BURST = 1


class RequestLimit:
    """One process's handle on the shared limits; may be used from several threads at once."""

    def __init__(
        self,
        buckets: TokenBuckets,
        settings: GeminiWorkerSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._buckets = buckets
        self._rate_per_s = settings.gemini_requests_per_minute / 60
        self._daily_budget = settings.gemini_daily_budget
        self._clock = clock
        self._sleep = sleep
        self._waiting = 0
        self._lock = threading.Lock()

    def take(self, *, patience_s: float) -> None:
        """Return once one request may go out, within `patience_s`.

        Raises NotSentError: RATE_LIMITED, at once where waiting for so long is hopeless, or DAILY_BUDGET_SPENT;
        LedgerUnavailableError when Redis is away.
        """
        if self._rate_per_s:
            self._take_token(self._clock() + patience_s)
        if self._daily_budget and not self._buckets.spend(_NAME, self._daily_budget).allowed:
            raise NotSentError(
                UnavailableReason.DAILY_BUDGET_SPENT,
                "The budget of requests to Gemini for this day is spent.",
            )

    def _take_token(self, give_up: float) -> None:
        with self._in_line() as ahead:
            # Who came before us in this process takes the next tokens; later on nobody knows who is first.
            others_s = ahead / self._rate_per_s
            while not (taken := self._buckets.take(_NAME, self._rate_per_s, _BURST)).allowed:
                hope_s = taken.retry_after_s + others_s
                if self._clock() + hope_s > give_up:
                    raise NotSentError(
                        UnavailableReason.RATE_LIMITED,
                        "The limit of requests to Gemini a minute is reached.",
                        hope_s,
                    )
                self._sleep(taken.retry_after_s)
                others_s = 0.0

    @contextmanager
    def _in_line(self) -> Iterator[int]:
        """How many of this process are waiting already."""
        with self._lock:
            ahead = self._waiting
            self._waiting += 1
        try:
            yield ahead
        finally:
            with self._lock:
                self._waiting -= 1
