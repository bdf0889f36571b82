"""HTTP/1.1 as uvicorn reads it, with what it leaves open: a bound on a request's head, in bytes and in time.

Without one, headers without end fill the memory, and connections that never say what they want stay for ever. What
is no HTTP at all is answered as a problem like everything else.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.gateway.lingering import Lingering
from services.gateway.problems import MEDIA_TYPE
from shared.contracts import Problem

#: Most bytes of request line and headers together; what a chunk from the network holds beyond is let pass.
MAX_HEAD_BYTES = 32 << 10
#: How long a request's head may take from its first byte, and the first one from the connection on.
HEAD_TIMEOUT_S = 10.0
#: A process that had no time to read finds its timer run out before what came meanwhile; that is read first.
_LAST_LOOK_S = 0.2

#: Colon, space and line end of a header.
_AROUND = 4

_BAD = Problem(
    type="/problems/bad_http",
    title="The request cannot be accepted",
    status=400,
    detail="This is not a well-formed HTTP/1.1 request.",
    code="bad_http",
)
_TOO_LARGE = Problem(
    type="/problems/headers_too_large",
    title="The request cannot be accepted",
    status=431,
    detail=f"Request line and headers may have at most {MAX_HEAD_BYTES} bytes.",
    code="headers_too_large",
)
_TOO_SLOW = Problem(
    type="/problems/headers_timeout",
    title="The request cannot be accepted",
    status=408,
    detail="Request line and headers took too long.",
    code="headers_timeout",
)
_REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    _timer: asyncio.TimerHandle

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        self._is_read = True
        self._wire = Lingering(transport, lambda: self._is_read)
        super().connection_made(self._wire)  # type: ignore[arg-type]
        self._refusal = _BAD
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._timer.cancel()
        self._is_read = True
        self.transport.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head that is too long is not waited for to its end."""
        self._head_bytes += len(data)
        self._wire.received(len(data))
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Wait for the head of one more request on this connection."""
        super().on_message_begin()
        self._timer.cancel()
        self._is_read = False
        self._await_head()

    def on_message_complete(self) -> None:
        """The request is there to its end; where it is answered already, that was all that was waited for."""
        super().on_message_complete()
        self._is_read = True
        if self.transport.is_closing():
            self.transport.close()

    def shutdown(self) -> None:
        """The gateway ends: nobody is waited for who has been answered."""
        self._is_read = True
        super().shutdown()

    def on_headers_complete(self) -> None:
        """Pass the request on, or fail the parser, which refuses it."""
        self._timer.cancel()
        self._in_head = False
        lines = (len(name) + len(value) + _AROUND for name, value in self.headers)
        if len(self.url) + sum(lines) > MAX_HEAD_BYTES:
            self._refusal = _TOO_LARGE
            raise ValueError("the head is too large")
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser does not take."""
        self._refuse(self._refusal)

    def _await_head(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT_S, self._look_once_more)

    def _look_once_more(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_LAST_LOOK_S, self._refuse, _TOO_SLOW)

    def _refuse(self, problem: Problem) -> None:
        self._is_read = True
        if self.transport.is_closing():  # answered, and what followed is nothing that could be
            self.transport.close()
            return
        body = problem.model_dump_json().encode()
        head = (
            f"HTTP/1.1 {problem.status} {_REASONS[problem.status]}",
            f"Content-Type: {MEDIA_TYPE}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        )
        self.transport.write("\r\n".join((*head, "", "")).encode() + body)
        self.transport.close()
