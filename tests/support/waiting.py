"""Waiting for something to become true, instead of sleeping for as long as it usually takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


#: A busy machine starts a process in half a minute. Where the fact comes, patience costs nothing.
_LEAST_S = 60.0
#: Looking costs the two processors that make the fact come true: who has waited long looks less often.
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S, _PAUSE_SHARE = 0.01, 0.1, 0.1


def wait_until(
    fact: Callable[[], T], *, timeout_s: float = _LEAST_S, what: str = "", least_s: float = _LEAST_S
) -> T:
    """Return the first truthy value of `fact`; AssertionError after `timeout_s`, and not before `least_s`.

    least_s: 0 where not coming true is an answer as well.
    """
    timeout_s = max(timeout_s, least_s)
    begun = time.monotonic()
    while True:
        value = fact()
        if value:
            return value
        waited_s = time.monotonic() - begun
        if waited_s > timeout_s:
            raise AssertionError(f"not true within {timeout_s} s: {what or fact}")
        time.sleep(min(_LONGEST_PAUSE_S, max(_SHORTEST_PAUSE_S, waited_s * _PAUSE_SHARE)))
