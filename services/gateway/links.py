"""On every answer, where a program finds what this API is, how it is described, and how it is (RFC 8288, RFC 8631)."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LINKS = (
    ("/openapi.json", "service-desc", "application/json"),
    ("/docs", "service-doc help", "text/html"),
    ("/readyz", "status", "application/json"),
)
_LINK = ", ".join(f'<{path}>; rel="{rel}"; type="{kind}"' for path, rel, kind in _LINKS)


class Links:
    """ASGI middleware. An answer that links to something itself keeps that: this is added."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request with the header on its answer, whatever it is."""

        async def with_links(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Link", _LINK)
            await send(message)

        await self._app(scope, receive, with_links)
