"""uvicorn on a socket of ours: says where it listens, and stops within a bounded time."""

import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from services.gateway.listen import url
from services.gateway.protocol import BoundedHttp
from services.gateway.settings import GatewaySettings

log = logging.getLogger(__name__)

#: Open files beside those of waiting requests: other requests, uploads, ledger, queue, blob store.
_OTHER_FILES = 1024
#: Python's own 700 are fewer than a handful of requests make at once.
_OBJECTS_BETWEEN_COLLECTIONS = 10_000


class _Server(uvicorn.Server):
    """Logs the URL once requests are answered: tests and the demo read it from there."""

    def __init__(self, config: uvicorn.Config, where: str, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._where = where
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then say so."""
        await super().startup(sockets)
        _spare_the_collector()
        log.info("listening on %s", self._where)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so, then stop as uvicorn does: it waits for what runs."""
        self._on_stop()
        await super().shutdown(sockets)


def serve(
    app: FastAPI, bound: socket.socket, settings: GatewaySettings, *, on_stop: Callable[[], None]
) -> None:
    """Answer requests until SIGTERM or SIGINT; what runs then has `shutdown_timeout_s` to end.

    on_stop: called when that time begins.
    """
    _allow_open_files(settings.max_waits + _OTHER_FILES)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies,
        http=BoundedHttp,
        ws="none",
        timeout_graceful_shutdown=settings.shutdown_timeout_s,
    )
    _Server(config, url(bound, settings.host), on_stop).run(sockets=[bound])


def _spare_the_collector() -> None:
    """What was made to start stays for good, and is not looked through for cycles again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


def _allow_open_files(wanted: int) -> None:
    """As many as that, where the hard limit lets us: a waiting request is a connection, and 1024 is a usual limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft in {hard, resource.RLIM_INFINITY} or soft >= wanted:
        return
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
    )


def exit_cleanly_on_signals() -> None:
    """A stop that was asked for is exit status 0. uvicorn stops gracefully and then raises the signal again."""

    def stop(signum: int, frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
