"""How often to try again, and how long to wait before it: pure, with the clock and the dice given."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from mediscan.calls import Call, Repeat
from mediscan.replies import NoReply, Reply, retry_after_s

#: Refused for now, and nothing was done.
_TOO_MANY = 429
#: The house, or a proxy before it, is away for the moment; it may have done what was asked all the same.
_AWAY = frozenset({502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """All times in seconds."""

    #: A call is given up this long after it began, waiting asked for by the caller not counted.
    retry_for_s: float = 60
    #: An attempt is given up after this long.
    attempt_s: float = 30
    #: The pause after the first failure; doubles with each further one.
    first_pause_s: float = 0.25
    longest_pause_s: float = 8
    clock: Callable[[], float] = time.monotonic
    dice: Callable[[], float] = random.random

    def give_up_at(self, call: Call, limit_s: float) -> float:
        """When a call that begins now is given up, on `clock`; after `limit_s` at the latest."""
        return self.clock() + min(call.wait_s + self.retry_for_s, limit_s)

    def attempt_for(self, call: Call, give_up_at: float) -> float:
        """How long the next attempt may take."""
        return max(0.001, min(call.wait_s + self.attempt_s, give_up_at - self.clock()))

    def pause(self, attempt: int, asked_s: float | None = None) -> float:
        """How long to wait after attempt number `attempt` (from 0).

        Never less than the server asked for, and never the same for all: a crowd that failed together must not
        come back together.
        """
        backoff = min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(attempt, 20))
        jittered = backoff * (0.5 + self.dice() / 2)
        return jittered if asked_s is None else max(jittered, asked_s + self.first_pause_s * self.dice())


def may_repeat(call: Call, outcome: Reply | NoReply) -> bool:
    """Whether sending `call` again may help, and cannot do its work twice."""
    if isinstance(outcome, NoReply) and outcome.is_final:
        return False
    if isinstance(outcome, NoReply):
        return call.repeat is Repeat.ALWAYS or not outcome.may_have_arrived
    return outcome.status == _TOO_MANY or (call.repeat is Repeat.ALWAYS and outcome.status in _AWAY)


def asked_pause(outcome: Reply | NoReply) -> float | None:
    """What the server itself says about when to come again."""
    return retry_after_s(outcome.headers) if isinstance(outcome, Reply) else None
