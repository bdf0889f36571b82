"""Carries out what the flows ask for, on asyncio. The twin of `drive.py`."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TypeVar

import httpx

from mediscan import transport
from mediscan.config import Config
from mediscan.flows import SILENCE_S, Emit, Flow, Open, Outcome, Pause, Read, Send, Stream, is_event_stream
from mediscan.replies import NoReply, Reply

T = TypeVar("T")


class AsyncDriver:
    """One pool of connections to one server."""

    def __init__(self, config: Config, verify: ssl.SSLContext | None) -> None:
        self._config = config
        self._http = httpx.AsyncClient(**transport.options(config, verify))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, flow: Flow[T]) -> T:
        """Carry out a flow to its end."""
        outcome: Outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                value: T = end.value
                return value
            outcome = await self._do(step)

    async def iterate(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Carry out a stream as far as it is asked for."""
        async with _OpenAnswer(self._http, self._config) as opened:
            outcome: Outcome = None
            while True:
                try:
                    step = stream.send(outcome)
                except StopIteration:
                    return
                if isinstance(step, Emit):
                    yield step.value
                    outcome = None
                elif isinstance(step, Open | Read):
                    outcome = await opened.do(step)
                else:
                    outcome = await self._do(step)

    async def _do(self, step: Send | Pause) -> Outcome:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            async with asyncio.timeout(step.timeout_s):
                async with self._http.stream(**transport.arguments(step.call, step.timeout_s)) as answer:
                    return transport.whole(answer, await answer.aread())
        except transport.FAILURES as error:
            return transport.no_reply(error, self._config)


class _OpenAnswer(AsyncExitStack):
    """The event stream that is open, if one is."""

    def __init__(self, http: httpx.AsyncClient, config: Config) -> None:
        super().__init__()
        self._http = http
        self._config = config
        self._pieces: AsyncIterator[bytes]

    async def do(self, step: Open | Read) -> Outcome:
        try:
            return await (self._open(step) if isinstance(step, Open) else self._next())
        except transport.FAILURES as error:
            return transport.no_reply(error, self._config) if isinstance(step, Open) else b""

    async def _open(self, step: Open) -> Reply | NoReply:
        await self.aclose()
        arguments = transport.arguments(step.call, step.timeout_s, silence_s=SILENCE_S)
        answer = await self.enter_async_context(self._http.stream(**arguments))
        reply = transport.head(answer)
        if not is_event_stream(reply):
            return transport.whole(answer, await answer.aread())
        self._pieces = answer.aiter_bytes()
        return reply

    async def _next(self) -> bytes:
        async for piece in self._pieces:
            if piece:
                return piece
        return b""
