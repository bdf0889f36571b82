"""What is costly and may be asked for at will, found out at most once a second for all of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_KEPT_S = 1.0


class Recent(Generic[T]):
    """The last answer of a costly question. Whoever asks while it is being found waits for that answer."""

    def __init__(self) -> None:
        self._found: T | None = None
        self._until = float("-inf")
        self._turn = asyncio.Lock()

    async def get(self, find: Callable[[], Awaitable[T]]) -> T:
        """What was found within the last second, or what `find` finds now; what it raises is raised here."""
        async with self._turn:
            if self._found is None or time.monotonic() >= self._until:
                self._found = await find()
                self._until = time.monotonic() + _KEPT_S
            return self._found
