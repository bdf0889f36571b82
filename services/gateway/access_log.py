"""One log line a request, and the last net under it. Never a query, a header or a body: they may hold anything."""

import logging
import time
import traceback

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.problems import unexpected

log = logging.getLogger(__name__)


class AccessLog:
    """ASGI middleware: logs method, route template, status and duration; answers 500 to what nobody caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass on what is not one (lifespan)."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = time.perf_counter()
        status = await self._serve(scope, receive, send)
        log.info("%s %s", scope["method"], _route(scope), extra=_fields(scope, status, began))
        return None

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> int:
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            _log_unexpected(error)
            if not status:
                await unexpected(Request(scope))(scope, receive, noting)
        return status


def _log_unexpected(error: Exception) -> None:
    # Where it happened, not what it says: the message of a library's error may quote metadata.
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("unexpected %s\n%s", type(error).__name__, where)


def _route(scope: Scope) -> str:
    # Where no route matched, the path is the caller's own words.
    return str(getattr(scope.get("route"), "path", "(no route)"))


def _fields(scope: Scope, status: int, began: float) -> dict[str, object]:
    fields: dict[str, object] = {
        "method": scope["method"],
        "route": _route(scope),
        "status": status,
        "duration_ms": round((time.perf_counter() - began) * 1000, 1),
    }
    known = scope.get("state", {})
    return fields | {name: known[name] for name in ("key", "job") if name in known}
