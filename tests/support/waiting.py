"""Waiting for something to become true, instead of sleeping for as long as it usually takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(fact: Callable[[], T], *, timeout_s: float = 10, what: str = "") -> T:
    """Return the first truthy value of `fact`; AssertionError after `timeout_s`."""
    give_up = time.monotonic() + timeout_s
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > give_up:
            raise AssertionError(f"not true within {timeout_s} s: {what or fact}")
        time.sleep(0.01)
