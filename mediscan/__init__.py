"""MediScan for programs: `Client` and `AsyncClient` submit images, follow jobs and read results (docs/client.md).

Names are loaded when they are first used: the server's own commands live in this package too, and must start where
the client's libraries are not installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mediscan.version import __version__ as __version__

if TYPE_CHECKING:
    from mediscan.aio import AsyncBatch as AsyncBatch
    from mediscan.aio import AsyncClient as AsyncClient
    from mediscan.aio import AsyncJob as AsyncJob
    from mediscan.client import Batch as Batch
    from mediscan.client import Client as Client
    from mediscan.client import Job as Job
    from mediscan.errors import AuthenticationError as AuthenticationError
    from mediscan.errors import ConfigurationError as ConfigurationError
    from mediscan.errors import ConflictError as ConflictError
    from mediscan.errors import InvalidRequestError as InvalidRequestError
    from mediscan.errors import MediScanError as MediScanError
    from mediscan.errors import NoResultError as NoResultError
    from mediscan.errors import NotFoundError as NotFoundError
    from mediscan.errors import PermissionDeniedError as PermissionDeniedError
    from mediscan.errors import RateLimitedError as RateLimitedError
    from mediscan.errors import RefusedError as RefusedError
    from mediscan.errors import ServerError as ServerError
    from mediscan.errors import UnavailableError as UnavailableError
    from mediscan.errors import UnexpectedAnswerError as UnexpectedAnswerError
    from mediscan.errors import UnreachableError as UnreachableError
    from mediscan.errors import WaitTimeoutError as WaitTimeoutError
    from mediscan.sse import Event as Event
    from mediscan.wire import contracts as contracts

_HOME = {
    "AsyncBatch": "mediscan.aio",
    "AsyncClient": "mediscan.aio",
    "AsyncJob": "mediscan.aio",
    "Batch": "mediscan.client",
    "Client": "mediscan.client",
    "Job": "mediscan.client",
    "AuthenticationError": "mediscan.errors",
    "ConfigurationError": "mediscan.errors",
    "ConflictError": "mediscan.errors",
    "InvalidRequestError": "mediscan.errors",
    "MediScanError": "mediscan.errors",
    "NoResultError": "mediscan.errors",
    "NotFoundError": "mediscan.errors",
    "PermissionDeniedError": "mediscan.errors",
    "RateLimitedError": "mediscan.errors",
    "RefusedError": "mediscan.errors",
    "ServerError": "mediscan.errors",
    "UnavailableError": "mediscan.errors",
    "UnexpectedAnswerError": "mediscan.errors",
    "UnreachableError": "mediscan.errors",
    "WaitTimeoutError": "mediscan.errors",
    "Event": "mediscan.sse",
    "contracts": "mediscan.wire",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mediscan' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
