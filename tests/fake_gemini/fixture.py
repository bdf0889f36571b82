"""The fake as a test uses it: a context manager around a server in a thread of its own."""

import asyncio
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from tests.fake_gemini.behaviour import Behaviour
from tests.fake_gemini.http import Request
from tests.fake_gemini.server import Server, State
from tests.fake_gemini.validation import images, refusal


class FakeGemini:
    """Listens on a loopback port chosen by the system while the `with` block runs."""

    def __init__(self, port: int = 0) -> None:
        self._state = State()
        self._port = port
        self._listening: Future[int] = Future()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fake-gemini", daemon=True)

    @property
    def base_url(self) -> str:
        """For MEDISCAN_GEMINI_BASE_URL."""
        return f"http://127.0.0.1:{self._listening.result(10)}"

    def behave(self, *script: Behaviour) -> None:
        """Do these with the next requests, one each; the last one stays. Forgets what was to come."""
        self._state.script = list(script)

    @property
    def requests(self) -> list[Request]:
        """Every request so far on the Gemini path, refused ones included."""
        return self._state.requests

    def received_images(self) -> list[bytes]:
        """The pictures in all good requests so far, in order."""
        return [
            image for request in self.requests if refusal(request) is None for image in images(request.body)
        ]

    def received_bytes(self) -> bytes:
        """All that left the house: every request as it came, and the pictures in them once more, decoded."""
        return b"".join([*(request.raw for request in self.requests), *self.received_images()])

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
            # On its way out the runner cancels the connections that still hang or trickle.
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            server = await asyncio.start_server(Server(self._state).serve, "127.0.0.1", self._port)
        except OSError as error:
            self._listening.set_exception(error)
            return
        async with server:
            self._listening.set_result(server.sockets[0].getsockname()[1])
            await self._stop.wait()
