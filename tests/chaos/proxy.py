"""A wire between a service and a server that can be made slow, held, cut, or to lose answers."""

import asyncio
import contextlib
import random
import tempfile
import threading
from collections.abc import Collection, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_PIECE_BYTES = 1 << 16
_HELD_LOOK_S = 0.02


class Proxy:
    """Forwards a unix socket of its own to the one of a server, from a thread of its own.

    The public attributes may be changed from any thread while it runs.
    """

    def __init__(self, target: Path, *, seed: int = 0) -> None:
        self._target = target
        self._folder = tempfile.TemporaryDirectory(prefix="mediscan-")
        self.socket = Path(self._folder.name) / "wire.sock"
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"proxy-{target.parent.name}", daemon=True)
        self._is_listening = threading.Event()
        self._stop = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        #: Each piece of data waits this long, each way.
        self.delay_s = 0.0
        #: Nothing passes, and nobody is told.
        self.is_held = False
        #: Share of answers in whose place the connection is cut: the server did it, the caller does not know.
        self.lost_answers = 0.0
        #: The answers with these numbers, counted from the proxy's first, are lost as well.
        self.lost_numbers: Collection[int] = ()
        self._answers = 0

    def cut(self) -> None:
        """Abort every connection there is; new ones may be made."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def heal(self) -> None:
        """Forward everything at once again."""
        self.delay_s, self.is_held, self.lost_answers, self.lost_numbers = 0.0, False, 0.0, ()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_listening.wait(10), "the proxy does not listen"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._folder.cleanup()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_unix_server(self._connect, self.socket)
        self._is_listening.set()
        await self._stop.wait()
        server.close()
        self._abort_all()

    def _abort_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.transport.abort()  # as if the server itself had refused
            return
        ends = {writer, server_writer}
        self._open |= ends
        try:
            # Cancelled when the proxy ends, which ends the connection as well.
            with contextlib.suppress(asyncio.CancelledError):
                await _first_of(
                    self._forward(reader, server_writer, are_answers=False),
                    self._forward(server_reader, writer, are_answers=True),
                )
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, are_answers: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_PIECE_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                while self.is_held:
                    await asyncio.sleep(_HELD_LOOK_S)
                if are_answers and self._is_lost():
                    return
                writer.write(data)
                await writer.drain()

    def _is_lost(self) -> bool:
        self._answers += 1
        return self._answers in self.lost_numbers or self._random.random() < self.lost_answers


async def _first_of(*ways: Coroutine[Any, Any, None]) -> None:
    """Run both ways until one ends: a connection is closed as a whole."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
