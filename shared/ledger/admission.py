"""How much work a caller and the house may have, what the ledger found of it, and what a refusal says. Pure."""

import math
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import HouseFullError, MediScanError, TooManyError

#: A refused caller is asked to come back when about this part of the backlog should be done ...
_PART = 0.1
#: ... within these bounds, whatever the estimate says.
_MIN_WAIT_S, _MAX_WAIT_S = 1.0, 60.0
#: While nothing has ended lately; a refusal is cheap, and the first jobs may be about to end.
_UNKNOWN_WAIT_S = 5.0


@dataclass(frozen=True)
class Limits:
    """What may be held or asked for at most; None: no limit."""

    #: Whose rate and quota are counted; what may be logged of an API key.
    key_id: str = ""
    #: Live jobs of the whole house.
    max_live: int | None = None
    #: Live jobs of one tenant.
    max_live_of_tenant: int | None = None
    #: Submissions a minute of this key, all of them at once if it likes.
    per_minute: int | None = None
    #: Accepted jobs a UTC day of this key.
    per_day: int | None = None

    def as_args(self) -> list[str]:
        """As the scripts take them."""
        limits = (self.max_live, self.max_live_of_tenant, self.per_minute, self.per_day)
        return ["" if limit is None else str(limit) for limit in limits]


class Verdict(StrEnum):
    """Whether a submission may come, or the limit that it would pass."""

    ADMITTED = ""
    #: The house holds `max_live` jobs.
    HOUSE_FULL = "house_full"
    #: The tenant holds `max_live_of_tenant` jobs.
    TENANT_FULL = "tenant_full"
    #: The key has had `per_day` jobs accepted today.
    QUOTA_EXCEEDED = "quota_exceeded"
    #: The key's bucket is empty.
    RATE_LIMITED = "rate_limited"


@dataclass(frozen=True)
class Admission:
    """What the ledger found when a submission asked to come in."""

    verdict: Verdict
    limits: Limits
    live_jobs: int
    #: Jobs that ended a second, lately.
    drain_per_s: float
    #: Submissions left in the key's bucket, the seconds until there is one, and until it is full.
    left_this_minute: int
    next_in_s: float
    full_in_s: float
    #: Jobs left of the key's daily quota, this one not counted, and the seconds until it is new.
    left_today: int
    day_left_s: float

    def check(self) -> None:
        """HouseFullError or TooManyError unless admitted, with how long to wait."""
        if self.verdict is not Verdict.ADMITTED:
            raise self.refused(self.verdict)

    def refused(self, verdict: Verdict) -> MediScanError:
        """What is said to a caller whom this limit keeps out."""
        if verdict is Verdict.HOUSE_FULL:
            said = "There are as many unfinished jobs as this house takes; try again later."
            return HouseFullError(said, retry_after_s=self._backlog_wait_s())
        if verdict is Verdict.TENANT_FULL:
            said = "You have as many unfinished jobs as one tenant may have here; try again when some ended."
            return TooManyError(said, code=verdict, retry_after_s=self._backlog_wait_s())
        if verdict is Verdict.QUOTA_EXCEEDED:
            said = f"This key may submit {self.limits.per_day} jobs a day (UTC), and has."
            return TooManyError(said, code=verdict, retry_after_s=self.day_left_s)
        said = f"This key may submit {self.limits.per_minute} jobs a minute."
        return TooManyError(said, code=verdict, retry_after_s=self.next_in_s)

    def headers(self, *, accepted: bool = False) -> dict[str, str]:
        """`RateLimit` and `RateLimit-Policy` for the key's own limits (draft-ietf-httpapi-ratelimit-headers-10).

        accepted: the job was recorded since, and so counted against today's quota.
        """
        policies, states = [], []
        if self.limits.per_minute is not None:
            policies.append(f'"minute";q={self.limits.per_minute};w=60')
            states.append(f'"minute";r={self.left_this_minute};t={math.ceil(self.full_in_s)}')
        if self.limits.per_day is not None:
            policies.append(f'"day";q={self.limits.per_day};w=86400')
            left = max(0, self.left_today - accepted)
            states.append(f'"day";r={left};t={math.ceil(self.day_left_s)}')
        if not policies:
            return {}
        return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}

    def _backlog_wait_s(self) -> float:
        if not self.drain_per_s:
            return _UNKNOWN_WAIT_S
        return min(_MAX_WAIT_S, max(_MIN_WAIT_S, _PART * self.live_jobs / self.drain_per_s))


#: Of who need not ask.
UNLIMITED = Admission(Verdict.ADMITTED, Limits(), 0, 0, 0, 0, 0, 0, 0)


def parse_admission(reply: list[str | int], limits: Limits) -> Admission:
    """What `admit.lua` returned."""
    verdict, live, drain, left, wait, full, spent, day_left = reply
    return Admission(
        verdict=Verdict(str(verdict)),
        limits=limits,
        live_jobs=int(live),
        drain_per_s=float(drain),
        left_this_minute=int(float(left) + 1e-6),
        next_in_s=float(wait),
        full_in_s=float(full),
        left_today=max(0, (limits.per_day or 0) - int(spent)),
        day_left_s=float(day_left),
    )
