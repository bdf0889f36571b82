"""The request body on its way in: counted, timed, and cut off at the limit whatever Content-Length said."""

import asyncio
from collections.abc import Mapping

from starlette.types import Message, Receive

from shared.errors import BadUploadError, TooLargeError

#: More than any length has; Python refuses to read thousands of digits.
_MAX_DIGITS = 20


def check_declared(headers: Mapping[str, str], max_bytes: int) -> None:
    """Refuse at once what the headers already give away: no body, or one over the limit."""
    declared = headers.get("content-length", "0" if "transfer-encoding" not in headers else "")
    if declared == "0":
        raise empty_body()
    if declared.isdecimal() and (len(declared) > _MAX_DIGITS or int(declared) > max_bytes):
        raise _too_large(max_bytes)


def empty_body() -> BadUploadError:
    """What is said to a request without a body."""
    return BadUploadError(
        "The request has no body. Send the image as multipart/form-data.", code="empty_body"
    )


class BodyReader:
    """Reads one request body chunk by chunk.

    Holds one chunk at a time (64 KiB under uvicorn); the server stops reading from the socket meanwhile.
    """

    def __init__(self, receive: Receive, *, max_bytes: int, timeout_s: float) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._deadline = asyncio.get_running_loop().time() + timeout_s
        self._ended = False
        self.received_bytes = 0

    async def next_chunk(self) -> bytes | None:
        """The next bytes, None at the end. TooLargeError over the limit; BadUploadError: caller gone or too slow."""
        while not self._ended:
            message = await self._next_message()
            if message["type"] == "http.disconnect":
                raise BadUploadError(
                    "The connection was closed before the upload was complete.", code="cut_off"
                )
            self._ended = not message.get("more_body", False)
            if chunk := self._counted(message.get("body", b"")):
                return chunk
        return None

    async def _next_message(self) -> Message:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError as error:
            raise BadUploadError("The upload took too long.", code="upload_timeout", status=408) from error

    def _counted(self, chunk: bytes) -> bytes:
        self.received_bytes += len(chunk)
        if self.received_bytes > self._max_bytes:
            raise _too_large(self._max_bytes)
        return chunk


def _too_large(max_bytes: int) -> TooLargeError:
    return TooLargeError(f"The request body may have at most {max_bytes} bytes.")
