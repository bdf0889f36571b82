"""Guards a gateway that takes no keys from web pages in a browser on the same machine.

It listens on loopback alone, but so does the browser: a page from anywhere may post a form to it, or point a name of
its own at 127.0.0.1 and then read as if it were the gateway's own page (DNS rebinding). Neither holds a key where keys
are needed, so there nothing of this is asked.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.listen import is_loopback
from services.gateway.problems import problem
from shared.errors import CallerError, ForbiddenError, MediScanError

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


class OwnPagesOnly:
    """ASGI middleware. origins: pages elsewhere that are welcome all the same."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it before anything of it is read."""
        refused = self._refusal(scope["method"], Headers(scope=scope)) if scope["type"] == "http" else None
        if refused is None:
            await self._app(scope, receive, send)
        else:
            answer = problem(Request(scope), refused, {"Connection": "close"})
            await answer(scope, receive, send)

    def _refusal(self, method: str, headers: Headers) -> MediScanError | None:
        host, origin = headers.get("host"), headers.get("origin")
        if host is not None and not is_loopback(_name(host)):
            return CallerError(
                "Without keys this gateway answers to loopback names alone, such as 127.0.0.1 and localhost.",
                code="wrong_host",
                status=421,
            )
        if method in _HARMLESS or origin is None or origin in self._origins or _of(origin) == host:
            return None
        return ForbiddenError(
            "Pages of other origins may not do this (MEDISCAN_CORS_ORIGINS).", code="foreign_page"
        )


def _of(origin: str) -> str:
    """What a browser sends as `Host` to the server of a page of this origin."""
    return origin.partition("://")[2]


def _name(host: str) -> str:
    """Without the port; empty for what is no host."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
