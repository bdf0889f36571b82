"""How the ledger's server is reached: by its address, or as whichever server the sentinels name as the primary.

After a failover the next attempt to connect asks the sentinels again, so a caller needs patience and nothing else.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis import asyncio as redis_asyncio
from redis.asyncio import sentinel as sentinel_asyncio
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from shared.errors import SetupError
from shared.redis_errors import AWAY
from shared.sentinel_url import SentinelUrl, names_sentinels, parse_sentinel_url
from shared.settings import Settings

T = TypeVar("T")

#: A sentinel that hangs is passed over: the next one knows as much.
_SENTINEL_TIMEOUT_S = 1.0


class _Patience(Retry):
    """Tries again until a time is up; a number of tries would last anything from nothing to minutes.

    A refused connection fails at once and a hung server only after `socket_timeout`, and redis-py tries again
    at two levels, to connect and to run a command.
    """

    def __init__(self, patience_s: float) -> None:
        super().__init__(ExponentialBackoff(cap=0.25, base=0.02), retries=-1)
        self._patience_s = patience_s

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """As redis-py's own, which this only ends."""
        give_up = time.monotonic() + self._patience_s

        def fail_or_give_up(error: Exception, *failures: int) -> None:
            fail(error, *failures)
            if time.monotonic() > give_up:
                raise error

        return super().call_with_retry(do, fail_or_give_up, is_retryable, with_failure_count)


class _WholeRepliesOnly:
    """Closes a connection on which reading a reply was broken off, as by a task's time limit.

    redis-py does so by itself but for its sentinel connections (8.1.0): there the next command got the reply that was
    still to come, and each one after it that of the one before.
    """

    def read_response(self, *args: Any, disconnect_on_error: bool = True, **options: Any) -> Any:
        """As redis-py's own."""
        return super().read_response(*args, disconnect_on_error=disconnect_on_error, **options)  # type: ignore[misc]


class _SentinelConnection(_WholeRepliesOnly, SentinelManagedConnection):  # type: ignore[misc]
    pass


class _SentinelTlsConnection(_WholeRepliesOnly, SentinelManagedSSLConnection):  # type: ignore[misc]
    pass


def connect(settings: Settings, *, patience_s: float) -> "redis.Redis":
    """A client that rides out an absence of about `patience_s` seconds; SetupError for an unusable URL."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "health_check_interval": 30,
        "retry": _Patience(patience_s),
        "retry_on_error": list(AWAY),
    }
    url = settings.redis_url.get_secret_value()
    if names_sentinels(url):
        return _by_sentinels(_parsed(url), settings, options)
    try:
        return redis.Redis.from_url(url, **_trust(settings, tls=url.startswith("rediss://")), **options)
    except ValueError as error:
        raise SetupError("MEDISCAN_REDIS_URL is not a Redis URL (redis://host:port/db)") from error


def notice_pool(settings: Settings, **options: Any) -> redis_asyncio.ConnectionPool:
    """Connections for publish/subscribe on an event loop, made one by one; SetupError for an unusable URL."""
    url = settings.redis_url.get_secret_value()
    if not names_sentinels(url):
        tls = url.startswith("rediss://")
        return redis_asyncio.ConnectionPool.from_url(url, **_trust(settings, tls=tls), **options)
    found = _parsed(url)
    own = _sentinel_options(found, settings) | {"retry": redis_asyncio.retry.Retry(NoBackoff(), 0)}
    manager = sentinel_asyncio.Sentinel(found.sentinels, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
    return sentinel_asyncio.SentinelConnectionPool(  # type: ignore[no-untyped-call]
        found.service, manager, **_server_options(found, settings), **options
    )


def _by_sentinels(found: SentinelUrl, settings: Settings, options: dict[str, Any]) -> "redis.Redis":
    own = _sentinel_options(found, settings) | {"retry": Retry(NoBackoff(), 0)}
    manager = Sentinel(found.sentinels, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
    server = _server_options(found, settings)
    server.pop("ssl", None)
    server["connection_class"] = _SentinelTlsConnection if found.tls else _SentinelConnection
    pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        found.service, manager, **server, **options
    )
    return redis.Redis.from_pool(pool)


def _server_options(found: SentinelUrl, settings: Settings) -> dict[str, Any]:
    login = {"username": found.username, "password": found.password, "db": found.db}
    return login | _tls(found, settings)


def _sentinel_options(found: SentinelUrl, settings: Settings) -> dict[str, Any]:
    login = {"username": found.sentinel_username, "password": found.sentinel_password}
    timeouts = {"socket_timeout": _SENTINEL_TIMEOUT_S, "socket_connect_timeout": _SENTINEL_TIMEOUT_S}
    return login | timeouts | _tls(found, settings)


def _tls(found: SentinelUrl, settings: Settings) -> dict[str, Any]:
    return {"ssl": True, **_trust(settings, tls=True)} if found.tls else {}


def _trust(settings: Settings, *, tls: bool) -> dict[str, str]:
    """Whom we trust beside the system's authorities."""
    return {"ssl_ca_certs": str(settings.redis_ca_file)} if tls and settings.redis_ca_file else {}


def _parsed(url: str) -> SentinelUrl:
    try:
        return parse_sentinel_url(url)
    except ValueError as error:
        form = "redis+sentinel://user:password@host:port,host:port/service/db"
        raise SetupError(f"MEDISCAN_REDIS_URL does not name sentinels as {form}") from error
