"""Carries out what the flows ask for, blocking."""

import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TypeVar

import httpx

from mediscan import transport
from mediscan.config import Config
from mediscan.flows import SILENCE_S, Emit, Flow, Open, Outcome, Pause, Read, Send, Stream, is_event_stream
from mediscan.replies import NoReply, Reply

T = TypeVar("T")


class Driver:
    """One pool of connections to one server."""

    def __init__(self, config: Config, verify: ssl.SSLContext | None) -> None:
        self._config = config
        self._http = httpx.Client(**transport.options(config, verify))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, flow: Flow[T]) -> T:
        """Carry out a flow to its end."""
        outcome: Outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                value: T = end.value
                return value
            outcome = self._do(step)

    def iterate(self, stream: Stream[T]) -> Iterator[T]:
        """Carry out a stream as far as it is asked for."""
        with _OpenAnswer(self._http, self._config) as opened:
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
                    outcome = opened.do(step)
                else:
                    outcome = self._do(step)

    def _do(self, step: Send | Pause) -> Outcome:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            with self._http.stream(**transport.arguments(step.call, step.timeout_s)) as answer:
                return transport.whole(answer, _read(answer, step.timeout_s))
        except transport.FAILURES as error:
            return transport.no_reply(error, self._config)


class _OpenAnswer(ExitStack):
    """The event stream that is open, if one is."""

    def __init__(self, http: httpx.Client, config: Config) -> None:
        super().__init__()
        self._http = http
        self._config = config
        self._pieces: Iterator[bytes] = iter(())

    def do(self, step: Open | Read) -> Outcome:
        try:
            return self._open(step) if isinstance(step, Open) else next(self._pieces, b"")
        except transport.FAILURES as error:
            return transport.no_reply(error, self._config) if isinstance(step, Open) else b""

    def _open(self, step: Open) -> Reply | NoReply:
        self.close()
        arguments = transport.arguments(step.call, step.timeout_s, silence_s=SILENCE_S)
        answer = self.enter_context(self._http.stream(**arguments))
        reply = transport.head(answer)
        if not is_event_stream(reply):
            return transport.whole(answer, _read(answer, step.timeout_s))
        self._pieces = filter(None, answer.iter_bytes())
        return reply


def _read(answer: httpx.Response, timeout_s: float) -> bytes:
    """The body; TimeoutError where it comes in drips for longer than that (httpx bounds each drip only)."""
    give_up_at = time.monotonic() + timeout_s
    pieces = []
    for piece in answer.iter_bytes():
        pieces.append(piece)
        if time.monotonic() > give_up_at:
            raise TimeoutError
    return b"".join(pieces)
