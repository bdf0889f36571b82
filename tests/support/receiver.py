"""A receiver of webhooks on loopback, over HTTP or HTTPS, that behaves as badly as a test wants."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Received:
    """One request, whole."""

    line: str
    #: Names in lower case.
    headers: dict[str, str]
    body: bytes


#: Answers on a connection whose request has been read; the second is set when the receiver stops.
Behaviour = Callable[[socket.socket, threading.Event], None]


def answers(status: int, *headers: str, body: bytes = b"") -> Behaviour:
    """A complete answer."""

    def behave(connection: socket.socket, _stop: threading.Event) -> None:
        head = (f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers)
        connection.sendall("\r\n".join(head).encode() + _HEAD_END + body)

    return behave


def hangs(_connection: socket.socket, stop: threading.Event) -> None:
    """Takes the request and says nothing."""
    stop.wait(60)


def cuts(_connection: socket.socket, _stop: threading.Event) -> None:
    """Takes the request and hangs up."""


def drips(connection: socket.socket, stop: threading.Event) -> None:
    """Sends a header byte by byte, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    with suppress(OSError):
        while not stop.wait(0.05):
            connection.sendall(b"x")


def floods(connection: socket.socket, stop: threading.Event) -> None:
    """Answers well, with a body without end."""
    connection.sendall(b"HTTP/1.1 200 OK" + _HEAD_END)
    with suppress(OSError):
        while not stop.is_set():
            connection.sendall(b"x" * 65_536)


class Receiver:
    """Listens on a free loopback port while the `with` block lasts; `behaviours` are taken in turn, the last stays."""

    def __init__(self, *behaviours: Behaviour, tls: tuple[Path, Path] | None = None) -> None:
        self._behaviours = list(behaviours) or [answers(204)]
        self.received: list[Received] = []
        self.connections = 0
        self._stop = threading.Event()
        self._tls: ssl.SSLContext | None = None
        if tls is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*tls)
        self._socket = socket.create_server(("127.0.0.1", 0))
        #: Where it listens.
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """Of its one resource."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook?to=x"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        # A blocked accept does not notice that its socket is closed.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(20)

    def _serve(self) -> None:
        with suppress(OSError):
            while not self._stop.is_set():
                connection, _ = self._socket.accept()
                self.connections += 1
                with connection, suppress(OSError):
                    connection.settimeout(20)
                    self._handle(connection)

    def _handle(self, connection: socket.socket) -> None:
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            request = _read(connection)
            if request is None:
                return
            self.received.append(request)
            behave = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
            behave(connection, self._stop)


def _read(connection: socket.socket) -> Received | None:
    data = b""
    while _HEAD_END not in data:
        if not (more := connection.recv(65_536)):
            return None
        data += more
    head, _, body = data.partition(_HEAD_END)
    line, *rest = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in rest)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65_536)
    return Received(line, headers, body)
