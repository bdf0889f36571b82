"""Rates and quotas that all processes share: token buckets and daily counters in Redis, on the server's clock.

A bucket lets through `burst` at once and `rate_per_s` in the long run; a quota counts one day of UTC. Keys expire
by themselves. The ledger's scripts use the same Lua (`shared/token_bucket.lua`).
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

import redis

from shared.names import Key
from shared.redis_errors import converted

#: The Lua functions themselves, to put before a script.
LIBRARY = files("shared").joinpath("token_bucket.lua").read_text()

# Above its memory limit the server would refuse a script; these keys are few and small, and work goes on.
_HEAD = "#!lua flags=allow-oom\n"

# Numbers as text: Redis cuts the fraction off a Lua number.
_TAKE = """
local rate, burst, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local allowed, left, wait = take_tokens(KEYS[1], server_now_us(), rate, burst, n)
return {allowed and 1 or 0, tostring(left), string.format('%.6f', wait)}
"""

_SPEND = """
local now_us, limit, n = server_now_us(), tonumber(ARGV[1]), tonumber(ARGV[2])
local spent = spent_today(KEYS[1])
local allowed = spent + n <= limit
if allowed then
  spend_today(KEYS[1], now_us, n)
  spent = spent + n
end
return {allowed and 1 or 0, tostring(math.max(0, limit - spent)), string.format('%.6f', seconds_of_day_left(now_us))}
"""


@dataclass(frozen=True)
class Taken:
    """What became of a request for tokens, or for a part of a daily quota."""

    allowed: bool
    #: Whole tokens, or uses, that are left.
    remaining: int
    #: Seconds until the same request can be allowed; 0 where it was.
    retry_after_s: float


class TokenBuckets:
    """Buckets and quotas by name, on one Redis client. Safe for any number of threads and processes."""

    def __init__(self, client: "redis.Redis") -> None:
        self._take = client.register_script(_HEAD + LIBRARY + _TAKE)
        self._spend = client.register_script(_HEAD + LIBRARY + _SPEND)

    def take(self, name: str, rate_per_s: float, burst: int, n: int = 1) -> Taken:
        """Take `n` tokens or none; ValueError where the bucket can never hold as many.

        LedgerUnavailableError when the server is away.
        """
        if rate_per_s <= 0 or not 1 <= n <= burst:
            raise ValueError("a bucket needs a positive rate, and n between 1 and its burst")
        with converted():
            return _taken(self._take(keys=[Key.bucket(name)], args=[repr(rate_per_s), burst, n]))

    def spend(self, name: str, limit: int, n: int = 1) -> Taken:
        """Count `n` uses of today's quota of `limit`, or none; refused, it is `retry_after_s` to midnight UTC.

        LedgerUnavailableError when the server is away.
        """
        with converted():
            return _taken(self._spend(keys=[Key.spent(name)], args=[limit, n]))


def _taken(reply: Any) -> Taken:
    allowed, left, wait = cast(tuple[int, str, str], reply)
    return Taken(bool(allowed), int(float(left) + 1e-9), 0.0 if allowed else float(wait))
