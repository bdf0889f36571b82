"""The whole house in two round trips: how much waits, who works, what ended. For operators, and cheap at any depth.

Every command is O(1), O(log n) or over a hash that no number of jobs makes longer; no key is searched for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis

from shared.circuit_state import parse_circuit
from shared.contracts import Circuit
from shared.ledger.memory import MemoryUse
from shared.ledger.scripts import DRAIN_WINDOW_S, DRAIN_WINDOWS
from shared.names import DEFAULT_MODEL, LIVE_IN_HOUSE, Key, Priority, Stage

#: Models that no worker offered for this long are no longer listed.
MODELS_KEPT_S = 86_400

_LANES = tuple((stage, priority) for stage in Stage for priority in Priority)


@dataclass(frozen=True)
class Lane:
    """The open work of one stage and priority."""

    stage: Stage
    priority: Priority
    waiting: int
    claimed: int
    #: Seconds that the first in line waits for this stage; None where nobody does.
    oldest_waiting_s: float | None
    #: Seconds that the longest held one is held; None where none is.
    oldest_claimed_s: float | None


@dataclass(frozen=True)
class House:
    """What the ledger knows of the house as a whole."""

    #: Unix seconds of the ledger's clock.
    at: float
    lanes: tuple[Lane, ...]
    #: Slots of each worker node that is alive; 0 where a node did not say.
    workers: Mapping[Stage, tuple[int, ...]]
    reaper_alive: bool
    live_jobs: int
    ended_last_minute: int
    counters: Mapping[str, int]
    dead_letters: int
    webhooks_waiting: int
    circuit: Circuit
    memory: MemoryUse
    models: tuple[str, ...]
    default_model: str | None
    #: `name/version` -> ModelDrift as JSON.
    drift: Mapping[str, str]


def look(client: "redis.Redis", *, heartbeat_ttl_s: float) -> House:
    """Ask the server; redis-py's errors pass through."""
    seconds, micros = client.time()
    now = seconds + micros / 1e6
    with client.pipeline(transaction=False) as pipe:
        for lane in _LANES:
            _ask_lane(pipe, Key.work(*lane))
        for stage in Stage:
            pipe.zrangebyscore(Key.workers(stage), seconds - heartbeat_ttl_s, "+inf")
        pipe.exists(Key.REAPER)
        pipe.hmget(Key.LIVE, [LIVE_IN_HOUSE])
        pipe.hgetall(Key.DRAIN)
        pipe.hgetall(Key.COUNTERS)
        pipe.zcount(Key.DEAD, "-inf", "+inf")
        pipe.zcount(Key.DELIVERIES, "-inf", "+inf")
        pipe.hgetall(Key.GEMINI_CIRCUIT)
        pipe.zrangebyscore(Key.MODELS_SEEN, seconds - MODELS_KEPT_S, "+inf")
        pipe.hmget(Key.MODELS, [DEFAULT_MODEL])
        pipe.info("memory")
        pipe.hgetall(Key.DRIFT)
        return _parse(now, iter(pipe.execute()))


def _ask_lane(pipe: Any, key: str) -> None:
    pipe.zcount(key, 0, "+inf")
    pipe.zcount(key, "-inf", "(0")
    pipe.zrangebyscore(key, 0, "+inf", start=0, num=1, withscores=True)
    pipe.zrevrangebyscore(key, "(0", "-inf", start=0, num=1, withscores=True)


def _parse(now: float, found: Any) -> House:
    return House(
        at=now,
        lanes=tuple(_lane(now, stage, priority, found) for stage, priority in _LANES),
        workers={stage: tuple(map(slots, next(found))) for stage in Stage},
        reaper_alive=bool(next(found)),
        live_jobs=int(next(found)[0] or 0),
        ended_last_minute=last_minute(now, next(found)),
        counters={name: int(count) for name, count in next(found).items()},
        dead_letters=next(found),
        webhooks_waiting=next(found),
        circuit=parse_circuit(next(found), now),
        models=tuple(sorted(next(found))),
        default_model=next(found)[0],
        memory=MemoryUse.parse(next(found)),
        drift=next(found),
    )


def _lane(now: float, stage: Stage, priority: Priority, found: Any) -> Lane:
    waiting, claimed, first, longest = (next(found) for _ in range(4))
    since = first[0][1] if first else None
    held = -longest[0][1] if longest else None
    return Lane(stage, priority, waiting, claimed, _age(now, since), _age(now, held))


def _age(now: float, since: float | None) -> float | None:
    # The server's clock may have been set back meanwhile.
    return None if since is None else round(max(0.0, now - since), 3)


def slots(member: str) -> int:
    """Of a worker node as `Ledger.heartbeat` notes it: its name, and behind a blank its slots."""
    return int(member.partition(" ")[2] or 0)


def last_minute(now: float, drain: Mapping[str, str]) -> int:
    """What ended within 60 s: six windows up to now, and of the one before them the part that is not over."""
    window, passed = divmod(now / DRAIN_WINDOW_S, 1)
    ended = [int(drain.get(str(int(window) - ago), 0)) for ago in range(DRAIN_WINDOWS)]
    return round(sum(ended[:-1]) + ended[-1] * (1 - passed))
