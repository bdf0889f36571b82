"""What every answer tells a browser: nothing here may be framed, sniffed, embedded elsewhere, or load anything.

After the OWASP HTTP Headers Cheat Sheet. An answer that brings a header of its own keeps it: the pages need more.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # For browsers that do not know frame-ancestors.
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class SecurityHeaders:
    """ASGI middleware. hsts_s: for how long browsers shall insist on HTTPS; 0: nothing is said about it."""

    def __init__(self, app: ASGIApp, *, hsts_s: int) -> None:
        self._app = app
        insist = {"Strict-Transport-Security": f"max-age={hsts_s}"} if hsts_s else {}
        self._headers = {**_HEADERS, **insist}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request with the headers on its answer, whatever it is."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)
