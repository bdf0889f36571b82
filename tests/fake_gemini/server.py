"""The fake itself: reads a request, writes it down, does as told.

Besides the Gemini path it serves, for tests in other processes:
`PUT /_behaviour` with a list of behaviours (the last one stays), `GET` and `DELETE /_requests`.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tests.fake_gemini import responses
from tests.fake_gemini.behaviour import Behaviour, Kind
from tests.fake_gemini.http import Request, head_bytes, json_bytes, page_bytes, read_request
from tests.fake_gemini.validation import api_key, refusal

_BEHAVIOURS = TypeAdapter(list[Behaviour])
_ENDLESS = 10_000_000


@dataclass
class State:
    """What the server was told, and what it received. Touched from the control side in whole assignments only."""

    #: What is to come; the last one stays.
    script: list[Behaviour] = field(default_factory=lambda: [Behaviour()])
    requests: list[Request] = field(default_factory=list)

    def next(self) -> Behaviour:
        """The behaviour for the request at hand."""
        current, *rest = self.script
        self.script = rest or [current]
        return current


class Server:
    """Serves connections from one `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection to its end."""
        try:
            request = await read_request(reader)
            await self._answer(request, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client gave up, as it should on most of what this server does; or we are shutting down
        finally:
            writer.close()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if request.target.startswith("/_"):
            return await _send(writer, self._control(request))
        self._state.requests = [*self._state.requests, request]
        if refused := refusal(request):
            return await _send(writer, json_bytes(*refused))
        behaviour = self._state.next()
        await asyncio.sleep(behaviour.delay_s)
        if misbehave := _MISBEHAVIOURS.get(behaviour.kind):
            return await misbehave(behaviour, reader, writer)
        return await _send(writer, _ANSWERS[behaviour.kind](behaviour, request))

    def _control(self, request: Request) -> bytes:
        match request.method, request.target:
            case "PUT", "/_behaviour":
                return self._told(request.body)
            case "GET", "/_requests":
                return json_bytes(200, [_public(r) for r in self._state.requests])
            case "DELETE", "/_requests":
                self._state.requests = []
                return json_bytes(200, {})
        return json_bytes(404, {})

    def _told(self, body: bytes) -> bytes:
        try:
            script = _BEHAVIOURS.validate_json(body)
        except ValidationError as error:
            return json_bytes(422, {"error": str(error)})
        self._state.script = script or self._state.script
        return json_bytes(200, {})


def _public(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "raw_base64": base64.b64encode(request.raw).decode(),
        "received_at": request.received_at,
    }


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def _hang(behaviour: Behaviour, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _trickle(behaviour: Behaviour, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _send(writer, head_bytes(200, _ENDLESS))
    while True:
        await _send(writer, b" ")
        await asyncio.sleep(behaviour.interval_s)


async def _cut(behaviour: Behaviour, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _cut_midway(
    behaviour: Behaviour, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await _send(writer, head_bytes(200, _ENDLESS) + b'{"candidates": [')


_Misbehaviour = Callable[[Behaviour, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_MISBEHAVIOURS: dict[Kind, _Misbehaviour] = {
    Kind.HANG: _hang,
    Kind.TRICKLE: _trickle,
    Kind.CUT: _cut,
    Kind.CUT_MIDWAY: _cut_midway,
}


def _ok(body: Any) -> bytes:
    return json_bytes(200, body)


def _error(status: int, name: str, message: str) -> bytes:
    return json_bytes(status, responses.error(status, name, message))


def _truncated(behaviour: Behaviour) -> bytes:
    text = responses.answer_text(behaviour)
    return _ok(responses.generated(text[: len(text) // 2], "MAX_TOKENS"))


#: The answers that are well-formed HTTP.
_ANSWERS: dict[Kind, Callable[[Behaviour, Request], bytes]] = {
    Kind.ANSWER: lambda b, _: _ok(responses.generated(responses.answer_text(b))),
    Kind.RATE_LIMITED: lambda b, _: json_bytes(429, responses.rate_limited(b.retry_delay_s)),
    Kind.INTERNAL_ERROR: lambda _b, _r: _error(500, "INTERNAL", "An internal error has occurred."),
    Kind.OVERLOADED: lambda _b, _r: _error(503, "UNAVAILABLE", "The model is overloaded."),
    Kind.PROXY_ERROR: lambda _b, _r: page_bytes(502, "<html>Bad gateway</html>"),
    Kind.BAD_KEY: lambda _, request: json_bytes(400, responses.bad_key(api_key(request))),
    Kind.NOT_JSON: lambda _b, _r: page_bytes(200, "<html>Please log in to the guest network.</html>"),
    Kind.NOT_A_RESPONSE: lambda _b, _r: _ok({"candidates": [{"content": 5}]}),
    Kind.WRONG_SCHEMA: lambda _b, _r: _ok(responses.generated(json.dumps({"verdict": "fine"}))),
    Kind.PROSE: lambda _b, _r: _ok(responses.generated("It looks fine to me.")),
    Kind.EMPTY_CANDIDATE: lambda _b, _r: _ok(responses.generated(None)),
    Kind.NO_CANDIDATE: lambda _b, _r: _ok(responses.no_candidate()),
    Kind.SAFETY: lambda _b, _r: _ok(responses.declined("SAFETY")),
    Kind.RECITATION: lambda _b, _r: _ok(responses.declined("RECITATION")),
    Kind.PROMPT_BLOCKED: lambda _b, _r: _ok(responses.prompt_blocked()),
    Kind.TRUNCATED: lambda b, _: _truncated(b),
}
