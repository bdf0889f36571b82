"""Multipart bodies written by hand, so that they can also be wrong."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from starlette.types import Message, Receive

from services.gateway.body import BodyReader
from services.gateway.form import SubmissionForm
from services.gateway.multipart import MultipartDecoder
from services.gateway.settings import GatewaySettings

BOUNDARY = "frontier"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
LIMITS = {"priority": 16, "metadata": 64}

T = TypeVar("T")


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    """One part with its opening boundary."""
    named = f'; filename="{filename}"' if filename else ""
    header = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return header.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole body."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def image_form(image: bytes, **fields: bytes) -> bytes:
    """The usual body: fields, then the image."""
    return form(*(part(name, value) for name, value in fields.items()), part("image", image, "scan.png"))


def sliced(body: bytes, size: int) -> list[bytes]:
    """The body in pieces, as a network delivers it."""
    return [body[at : at + size] for at in range(0, len(body), size)]


def receiver(chunks: Iterable[bytes], last: Message | None = None) -> Receive:
    """An ASGI `receive` that delivers `chunks`, then `last`; then it waits for ever."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": True} for body in chunks]
    messages.append(last or {"type": "http.request", "body": b"", "more_body": False})
    pending = iter(messages)

    async def receive() -> Message:
        for message in pending:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def open_form(receive: Receive, *, max_bytes: int = 1 << 20, timeout_s: float = 5) -> SubmissionForm:
    """A form over an ASGI body; call it inside a running loop."""
    body = BodyReader(receive, max_bytes=max_bytes, timeout_s=timeout_s)
    return SubmissionForm(body, MultipartDecoder(BOUNDARY.encode()), LIMITS)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a loop of its own."""
    return asyncio.run(work)


def settings(**changed: Any) -> GatewaySettings:
    """The defaults, but for `changed`."""
    return GatewaySettings(**changed)
