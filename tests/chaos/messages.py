"""Changes the messages that wait in the broker: one Redis list a queue and priority, as kombu keeps them."""

import random
from collections.abc import Callable
from typing import cast

import redis


def lists(client: "redis.Redis") -> dict[str, list[str]]:
    """Every waiting message by its list."""
    found = (str(key) for key in client.scan_iter(_type="list"))
    return {key: cast(list[str], client.lrange(key, 0, -1)) for key in found}


def double(client: "redis.Redis", draw: random.Random) -> int:
    """Every waiting message is there twice."""
    del draw
    return _rewrite(client, lambda messages: [copy for message in messages for copy in (message, message)])


def lose(client: "redis.Redis", draw: random.Random) -> int:
    """About half of the waiting messages are gone, as if their workers had died right after the pop."""
    return _rewrite(client, lambda messages: [message for message in messages if draw.random() < 0.5])


def shuffle(client: "redis.Redis", draw: random.Random) -> int:
    """The waiting messages are in another order."""
    return _rewrite(client, lambda messages: draw.sample(messages, len(messages)))


def _rewrite(client: "redis.Redis", change: Callable[[list[str]], list[str]]) -> int:
    waiting = lists(client)
    with client.pipeline(transaction=True) as pipe:
        for key, before in waiting.items():
            # What came in meanwhile lies at the head; the tail is what we read.
            pipe.ltrim(key, 0, -1 - len(before))
            if after := change(before):
                pipe.rpush(key, *after)
        pipe.execute()
    return sum(map(len, waiting.values()))
