"""The one client of all that is measured: sixteen connections of HTTP/1.1, as little work a request as Python allows.

It shares the two cores with what it measures, so what it costs is everybody's cost.
"""

import asyncio
import time
from dataclasses import dataclass

_BOUNDARY = b"mediscan-benchmark"


@dataclass(frozen=True)
class Answer:
    """One response."""

    status: int
    body: bytes


def multipart(path: str, field: str, image: bytes) -> bytes:
    """A POST of one file in a form, whole."""
    head = (
        b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="scan.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" % (_BOUNDARY, field.encode())
    )
    body = head + image + b"\r\n--%b--\r\n" % _BOUNDARY
    kind = f"multipart/form-data; boundary={_BOUNDARY.decode()}"
    return request("POST", path, body, kind)


def request(method: str, path: str, body: bytes = b"", kind: str = "") -> bytes:
    """One request, ready to be sent."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*"]
    if body:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join((*lines, "", "")).encode() + body


class Connection:
    """One connection, opened again where the server closed it after its answer."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, message: bytes) -> Answer:
        """Send a request, wait for its answer."""
        if self._open is None:
            self._open = await asyncio.open_connection(*self._address)
        reader, writer = self._open
        writer.write(message)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await _body(reader, head)
        if b"connection: close" in head or (head.startswith(b"http/1.0") and b"keep-alive" not in head):
            self.close()
        return Answer(int(head[9:12]), body)

    def close(self) -> None:
        """Hang up."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    _, found, rest = head.partition(b"content-length:")
    if found:
        return await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    if b"transfer-encoding: chunked" not in head:
        return await reader.read()
    chunks = []
    while size := int((await reader.readline()).partition(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(chunks)


def now_ms() -> float:
    """A clock for differences."""
    return time.perf_counter() * 1000
