"""One log line a request, and the last net under it. Never a query, a header or a body: they may hold anything.

Each request gets an id of ours, which every line about it carries and `X-Request-ID` tells the caller. One that the
caller sends is not taken: it may hold anything too.
"""

import logging
import secrets
import time
import traceback
from contextlib import AbstractContextManager, nullcontext

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.problems import unexpected
from shared import telemetry
from shared.observe import metrics, tracing

log = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"

#: Of no interest to who follows a job.
_ASKED_ALL_THE_TIME = frozenset({"/healthz", "/readyz"})


class AccessLog:
    """ASGI middleware: logs method, route template, status and duration; answers 500 to what nobody caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass on what is not one (lifespan)."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = time.perf_counter()
        request = secrets.token_hex(8)
        with telemetry.about(request=request), _span(scope, request):
            status = await self._serve(scope, receive, send, request)
            seconds = time.perf_counter() - began
            tracing.describe(f"{scope['method']} {_route(scope)}", status=status)
            log.info("%s %s", scope["method"], _route(scope), extra=_fields(scope, status, seconds))
        metrics.answered(scope["method"], _route(scope), status, seconds)
        return None

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request: str) -> int:
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            _log_unexpected(error)
            if not status:
                await unexpected(Request(scope))(scope, receive, noting)
        return status


def _span(scope: Scope, request: str) -> AbstractContextManager[None]:
    return nullcontext() if scope["path"] in _ASKED_ALL_THE_TIME else tracing.span("request", request=request)


def _log_unexpected(error: Exception) -> None:
    # Where it happened, not what it says: the message of a library's error may quote metadata.
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("unexpected %s\n%s", type(error).__name__, where)


def _route(scope: Scope) -> str:
    # Where no route matched, the path is the caller's own words.
    return str(getattr(scope.get("route"), "path", "(no route)"))


def _fields(scope: Scope, status: int, seconds: float) -> dict[str, object]:
    return {
        "method": scope["method"],
        "route": _route(scope),
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
    }
