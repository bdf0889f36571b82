"""Which waiting jobs have most likely lost their message, whenever the reaper meant to look at them next.

The reaper looks at a waiting job a few times before its deadline and no more. When the broker loses what it held, or
was away while messages were published, those looks would come late. Two signs need no waiting for them: a queue that
has held nothing for a while, and a message published clearly later that has been taken up. Both are read off sorted
sets, from the front: in a healthy backlog nothing stands there.
"""

from collections.abc import Iterable, Mapping, Set
from itertools import chain
from typing import cast

import redis

from shared.ledger import clock
from shared.ledger.scripts import REORDER_SLACK_S
from shared.names import JobRef, Key, Priority, Stage

Lane = tuple[Stage, Priority]
_LANES: tuple[Lane, ...] = tuple((stage, priority) for stage in Stage for priority in Priority)


def waits_long(client: "redis.Redis", *, republish_after_s: float) -> bool:
    """Whether any job waits long enough for its message to be suspected; redis-py's errors pass through."""
    bound = f"{clock.now(client) - republish_after_s:.6f}"
    with client.pipeline(transaction=False) as pipe:
        for lane in _LANES:
            pipe.zcount(Key.work(*lane), "(0", bound)
        return any(pipe.execute())


def suspects(
    client: "redis.Redis", *, empty: Set[Stage], republish_after_s: float, limit: int
) -> list[JobRef]:
    """Jobs whose message is probably lost, up to `limit` of a stage and priority; redis-py's errors pass through.

    empty: stages whose queue has held nothing for `republish_after_s`.
    """
    now = clock.now(client)
    latest = now - republish_after_s
    watermarks = cast(dict[str, str], client.hgetall(Key.WATERMARKS))
    bounds = {lane: latest if lane[0] in empty else _overtaken(lane, watermarks, now) for lane in _LANES}
    bounds = {lane: min(bound, latest) for lane, bound in bounds.items()}
    waiting = _waiting_since(client, bounds, limit)
    return list(dict.fromkeys(chain.from_iterable(_published_by(client, bounds, waiting))))


def _overtaken(lane: Lane, watermarks: Mapping[str, str], now: float) -> float:
    """What was published before this has been overtaken."""
    watermark = float(watermarks.get(":".join(lane), 0))
    # One from the future was made before the clock was set back.
    return watermark - REORDER_SLACK_S if watermark <= now else 0.0


def _waiting_since(
    client: "redis.Redis", bounds: Mapping[Lane, float], limit: int
) -> Mapping[Lane, list[str]]:
    with client.pipeline(transaction=False) as pipe:
        for lane, bound in bounds.items():
            pipe.zrangebyscore(Key.work(*lane), "(0", f"({bound:.6f}", start=0, num=limit)
        return dict(zip(bounds, pipe.execute(), strict=True))


def _published_by(
    client: "redis.Redis", bounds: Mapping[Lane, float], waiting: Mapping[Lane, list[str]]
) -> Iterable[list[JobRef]]:
    # Its message may be younger than the job: published again, or put off, when there is none (0).
    for (stage, priority), found in waiting.items():
        refs = [JobRef.parse(text) for text in found]
        with client.pipeline(transaction=False) as pipe:
            for ref in refs:
                pipe.hmget(Key.job(ref), [f"{stage}.published_at"])
            at = [float(stored or 0) for (stored,) in (pipe.execute() if refs else [])]
        yield [
            ref for ref, published in zip(refs, at, strict=True) if 0 < published < bounds[stage, priority]
        ]
