"""What Redis says when it cannot be used for the moment, as the one error that callers know."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from shared.errors import LedgerUnavailableError

#: The server is away or still loading: the very same call may go through a moment later.
AWAY = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.BusyLoadingError,
)

#: NoPermissionError: its user may not do this, which the caller can help as little as the others.
_REFUSES = (
    *AWAY,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.NoPermissionError,
)

#: Its disk is full or broken, or its replicas are away; redis-py has no class for these.
_REFUSES_WRITES = ("MISCONF", "NOREPLICAS")


@contextmanager
def converted() -> Iterator[None]:
    """Raise LedgerUnavailableError for what may be better later; anything else is a bug and passes through."""
    try:
        yield
    except redis.exceptions.RedisError as error:
        if not (isinstance(error, _REFUSES) or str(error).startswith(_REFUSES_WRITES)):
            raise
        raise LedgerUnavailableError("The job ledger cannot be reached or written right now.") from error
