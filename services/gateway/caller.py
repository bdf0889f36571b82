"""Who asks: the one place where a request gets an identity, a tenant and rights. Every route but health asks here.

A route names the scope that it takes (`who: Reader`) and takes the tenant from the caller and from nowhere else.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from services.gateway import resources
from shared.errors import ForbiddenError

#: `key_id` of whoever asks a gateway that takes no keys.
OPEN = "open"


class Scope(StrEnum):
    """What a caller may do, each apart from the others."""

    #: Submit jobs, and call off those of the tenant.
    SUBMIT = "submit"
    #: See jobs, results and heatmaps of the tenant.
    READ = "read"
    #: See what concerns the house and not a job: which parts of it are missing.
    ADMIN = "admin"


@dataclass(frozen=True)
class Caller:
    """An identified caller; what may be logged of a key is its id."""

    key_id: str
    tenant: str
    scopes: frozenset[Scope]
    #: Most requests a minute; None: the house's own limit alone.
    rate_per_minute: int | None = None
    #: Most jobs a UTC day; None: no limit of its own.
    daily_quota: int | None = None


async def of(request: Request, scope: Scope | None) -> Caller:
    """The caller, who has `scope` if one is named; UnauthenticatedError (401) or ForbiddenError (403) otherwise."""
    who = await identify(request)
    request.state.key = who.key_id  # for the access log
    if scope is not None and scope not in who.scopes:
        raise ForbiddenError(f"This key does not have the scope `{scope}`.")
    return who


async def identify(request: Request) -> Caller:
    """The caller, whatever he may do; UnauthenticatedError where nobody knows him."""
    settings = resources.of(request).settings
    return Caller(OPEN, settings.tenant, frozenset(Scope))


# These only describe themselves in the OpenAPI document; `identify` reads the headers.
_Bearer = Annotated[object, Security(HTTPBearer(auto_error=False, scheme_name="API key"))]
_Header = Annotated[
    object, Security(APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="API key in a header"))
]


def _having(scope: Scope | None) -> Callable[..., Awaitable[Caller]]:
    async def caller(request: Request, _bearer: _Bearer, _header: _Header) -> Caller:
        return await of(request, scope)

    return caller


#: What a route writes as the type of its caller.
Submitter = Annotated[Caller, Depends(_having(Scope.SUBMIT))]
Reader = Annotated[Caller, Depends(_having(Scope.READ))]
AnyCaller = Annotated[Caller, Depends(_having(None))]
