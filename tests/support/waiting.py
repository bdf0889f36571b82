"""Waiting for something to become true, instead of sleeping for as long as it usually takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


#: A busy machine starts a process in half a minute. Where the fact comes, patience costs nothing.
_LEAST_S = 60.0


def wait_until(
    fact: Callable[[], T], *, timeout_s: float = _LEAST_S, what: str = "", least_s: float = _LEAST_S
) -> T:
    """Return the first truthy value of `fact`; AssertionError after `timeout_s`, and not before `least_s`.

    least_s: 0 where not coming true is an answer as well.
    """
    timeout_s = max(timeout_s, least_s)
    give_up = time.monotonic() + timeout_s
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > give_up:
            raise AssertionError(f"not true within {timeout_s} s: {what or fact}")
        time.sleep(0.01)
