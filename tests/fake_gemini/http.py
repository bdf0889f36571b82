"""Just enough HTTP/1.1, on bare streams, to be able to break it on purpose. One request a connection."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True)
class Request:
    """A request as it came in; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    #: Every byte of it, head and body.
    raw: bytes
    #: Unix seconds.
    received_at: float = field(default_factory=time.time)


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read one request with a Content-Length; asyncio.IncompleteReadError when the client leaves early."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body, head + body)


def head_bytes(status: int, length: int, content_type: str = "application/json; charset=UTF-8") -> bytes:
    """Status line and headers of an answer of `length` bytes."""
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {length}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def json_bytes(status: int, body: Any) -> bytes:
    """A whole answer with `body` as JSON."""
    text = json.dumps(body).encode()
    return head_bytes(status, len(text)) + text


def page_bytes(status: int, page: str) -> bytes:
    """A whole answer with a page of HTML."""
    text = page.encode()
    return head_bytes(status, len(text), "text/html") + text
