"""A connection that is closed only once the client has said what it was saying.

A refusal is answered before the upload is there. Closed at once, what still comes would be answered with a reset, and
that takes the refusal away from a client that has not read it yet: it would see a cut connection and no Retry-After.
"""

import asyncio
from collections.abc import Callable
from typing import Any

#: For the rest of the request, which is thrown away as it comes. Our half is closed meanwhile: the answer is complete.
LINGER_S = 3.0
#: Nor more than this of it: an upload of the usual limit, and no body without end.
LINGER_BYTES = 32 << 20


class Lingering:
    """uvicorn's transport. `is_read`: whether the request at hand has been read to its end."""

    def __init__(self, transport: Any, is_read: Callable[[], bool]) -> None:
        self._transport = transport
        self._is_read = is_read
        self._timer: asyncio.TimerHandle | None = None
        self._thrown_away = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def lingers(self) -> bool:
        """Whether all is answered, and the rest of the request is waited for."""
        return self._timer is not None

    def is_closing(self) -> bool:
        """Whether nothing more can be answered."""
        return self.lingers or bool(self._transport.is_closing())

    def close(self) -> None:
        """Close, unless the client is in the middle of a request: then soon."""
        if self._is_read() or self._transport.is_closing():
            self.close_now()
        elif not self.lingers:
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._transport.resume_reading()  # it stands still where nobody took what came
            self._timer = asyncio.get_running_loop().call_later(LINGER_S, self.close_now)

    def received(self, count: int) -> None:
        """So many bytes came; once all is answered, only so many more are waited for."""
        if self.lingers:
            self._thrown_away += count
            if self._thrown_away > LINGER_BYTES:
                self.close_now()

    def close_now(self) -> None:
        """Close whatever the client says."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()
