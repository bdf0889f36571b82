"""Opens connections to addresses that were checked, and to no other: what keeps a webhook out of our own network.

The name is resolved once. Every address it stands for must be one that webhooks may go to, and the connection goes to
one of these very addresses: a name server that answers otherwise the next time is not asked again. TLS checks the
certificate against the name all the same.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

import httpcore

from shared.webhooks.destinations import Address, Destinations
from shared.webhooks.target import Target

#: host, port -> addresses; OSError where the name has none.
Resolve = Callable[[str, int], list[Address]]


class AddressRefusedError(Exception):
    """The name stands for an address that webhooks may not go to; nothing was sent."""


class UnresolvedError(Exception):
    """The name stands for no address."""


def resolve(host: str, port: int) -> list[Address]:
    """Ask the system; OSError (UnicodeError for what is no name) where there is no answer."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))


class CheckedNetwork(httpcore.NetworkBackend):
    """The network of one attempt to reach `target`, which is over after `timeout_s` whatever the other side does."""

    def __init__(
        self, target: Target, destinations: Destinations, timeout_s: float, resolve: Resolve
    ) -> None:
        self._target = target
        self._destinations = destinations
        self._resolve = resolve
        self._deadline = time.monotonic() + timeout_s
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to a checked address of the target; AddressRefusedError, UnresolvedError, httpcore's own."""
        del host, port, timeout, local_address  # the target says where to, the deadline how long
        failed: Exception = httpcore.ConnectError("no address")
        for address in self._checked():
            try:
                stream = self._plain.connect_tcp(
                    str(address), self._target.port, _left(self._deadline), socket_options=socket_options
                )
                return _BoundedStream(stream, self._deadline)
            except httpcore.ConnectError as error:
                failed = error
        raise failed

    def _checked(self) -> list[Address]:
        target = self._target
        try:
            found = self._resolve(target.host, target.port)
        except (OSError, UnicodeError) as error:
            raise UnresolvedError from error
        if not found:
            raise UnresolvedError
        if not all(self._destinations.allows(target.host, address, tls=target.tls) for address in found):
            raise AddressRefusedError
        return found


class _BoundedStream(httpcore.NetworkStream):
    """A stream on which each step has only what is left of the whole attempt: dripping bytes gain no time."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        return self._stream.read(max_bytes, _left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._stream.write(buffer, _left(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        del timeout
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _BoundedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, late: type[httpcore.TimeoutException] = httpcore.ConnectTimeout) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise late("the attempt took too long")
    return left
