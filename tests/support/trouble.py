"""A proxy before a real gateway that misbehaves on purpose: what networks, proxies and restarts do to a client."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.fake_gemini.http import Request, read_request


class Mischief(Enum):
    """What happens to one request."""

    #: It is passed on, and so is the answer.
    NONE = auto()
    #: The connection is closed without a word, and the gateway never hears of it.
    CUT = auto()
    #: The gateway does what it is asked, and the answer is lost.
    LOSE_ANSWER = auto()
    #: The answer ends in its middle.
    CUT_ANSWER = auto()
    #: The answer comes a byte at a time, each sooner than a read would time out.
    DRIP = auto()
    #: No answer, and the connection stays.
    HANG = auto()


class Trouble:
    """Listens on a loopback port chosen by the system; does with each request what `script` says, then nothing odd.

    An entry of `bytes` is sent as the whole answer.
    """

    def __init__(self, upstream: str) -> None:
        #: The gateway's URL; may change while running.
        self.upstream = upstream
        self.script: list[Mischief | bytes] = []
        #: Every request that came, in order.
        self.requests: list[Request] = []
        self._listening: Future[int] = Future()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        #: Both ends of whatever is under way.
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, name="trouble", daemon=True)

    @property
    def url(self) -> str:
        """Where to find the proxy."""
        return f"http://127.0.0.1:{self._listening.result(10)}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._connection, "127.0.0.1", 0) as server:
            self._listening.set_result(server.sockets[0].getsockname()[1])
            await self._stop.wait()
            await self._end_what_is_under_way()

    async def _end_what_is_under_way(self) -> None:
        """Before the listener is closed: asyncio forgets to close what it is accepting at that moment."""
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for writer in self._open:
                writer.transport.abort()
            await asyncio.wait(others, timeout=0.1)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            request = await read_request(reader)
            self.requests.append(request)
            act = self.script.pop(0) if self.script else Mischief.NONE
            await self._play(act, request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client or the gateway left: that is what this is about
        finally:
            await self._closed(writer)

    async def _play(self, act: Mischief | bytes, request: Request, writer: asyncio.StreamWriter) -> None:
        if isinstance(act, bytes):
            writer.write(act)
        elif act is Mischief.HANG:
            await self._stop.wait()
        elif act is Mischief.NONE:
            await self._relay(request, writer)
        elif act is not Mischief.CUT:
            await _spoil(act, await self._answer(request), writer)
        await writer.drain()

    async def _answer(self, request: Request) -> bytes:
        async with self._forwarded(request) as upstream:
            return await upstream.read()

    async def _relay(self, request: Request, writer: asyncio.StreamWriter) -> None:
        async with self._forwarded(request) as upstream:
            while piece := await upstream.read(65536):
                writer.write(piece)
                await writer.drain()

    @asynccontextmanager
    async def _forwarded(self, request: Request) -> AsyncIterator[asyncio.StreamReader]:
        where = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        self._open.add(writer)
        try:
            head, _, body = request.raw.partition(b"\r\n\r\n")
            kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            writer.write(b"\r\n".join([*kept, b"Connection: close", b"", body]))
            await writer.drain()
            yield reader
        finally:
            await self._closed(writer)

    async def _closed(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self._open.discard(writer)


async def _spoil(act: Mischief, answer: bytes, writer: asyncio.StreamWriter) -> None:
    if act is Mischief.CUT_ANSWER:
        writer.write(answer[: len(answer) - 20])
    elif act is Mischief.DRIP:
        for at in range(len(answer)):
            writer.write(answer[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0.02)
