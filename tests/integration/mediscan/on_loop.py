"""`AsyncClient` driven from blocking code, so that every test of the client runs against both."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

from mediscan.aio import AsyncBatch, AsyncClient, AsyncJob


class OnLoop:
    """An AsyncClient, or a handle of one, whose methods block."""

    def __init__(self, inner: Any, runner: asyncio.Runner) -> None:
        self._inner = inner
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.ismethod(found):
            return found
        return lambda *args, **kwargs: self._blocking(found(*args, **kwargs))

    def __enter__(self) -> "OnLoop":
        self._runner.run(self._inner.__aenter__())
        return self

    def __exit__(self, *ending: Any) -> None:
        self._runner.run(self._inner.__aexit__(*ending))

    def _blocking(self, value: Any) -> Any:
        if inspect.iscoroutine(value):
            value = self._runner.run(value)
        if isinstance(value, AsyncIterator):
            return self._each(value)
        return (
            OnLoop(value, self._runner) if isinstance(value, AsyncJob | AsyncBatch | AsyncClient) else value
        )

    def _each(self, values: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> tuple[Any, bool]:
            try:
                return await anext(values), True
            except StopAsyncIteration:
                return None, False

        while (found := self._runner.run(following()))[1]:
            yield found[0]
