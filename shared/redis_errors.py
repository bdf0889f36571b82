"""What Redis says when it cannot be used for the moment, as the one error that callers know."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from shared.errors import LedgerFullError, LedgerRefusedError, LedgerUnavailableError

#: The server is away or still loading: the very same call may go through a moment later.
AWAY = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.BusyLoadingError,
)

#: It answered and refused. NoPermissionError: its user may not do this, which the caller can help as little.
_REFUSED = (redis.exceptions.ReadOnlyError, redis.exceptions.NoPermissionError)

#: Its disk is full or broken, or its replicas are away; redis-py has no class for these.
_REFUSES_WRITES = ("MISCONF", "NOREPLICAS")

#: It was demoted while we waited for its replicas: what we wrote may be lost with its time as the primary. A server
#: that does not know a script although it was just loaded is another one: the primary since then.
_DEMOTED = "UNBLOCKED"


@contextmanager
def converted() -> Iterator[None]:
    """Raise LedgerUnavailableError for what may be better later; anything else is a bug and passes through."""
    try:
        yield
    except AWAY as error:
        raise LedgerUnavailableError("The job ledger cannot be reached right now.") from error
    except redis.exceptions.OutOfMemoryError as error:
        raise ledger_full() from error
    except redis.exceptions.ResponseError as error:
        if isinstance(error, redis.exceptions.NoScriptError) or str(error).startswith(_DEMOTED):
            raise LedgerUnavailableError("The job ledger cannot be reached right now.") from error
        if not (isinstance(error, _REFUSED) or str(error).startswith(_REFUSES_WRITES)):
            raise
        raise LedgerRefusedError("The job ledger cannot be written right now.") from error


def ledger_full() -> LedgerFullError:
    """What is said of a ledger at, or near, its memory limit."""
    return LedgerFullError("The job ledger is full for now: new jobs are taken once others have ended.")
