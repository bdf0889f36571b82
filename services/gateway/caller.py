"""Who asks: the one place where a request gets an identity, a tenant and rights. Every route but health asks here.

A route names the scope that it takes (`who: Reader`) and takes the tenant from the caller and from nowhere else.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from services.gateway import resources
from services.gateway.api_keys import ApiKey, Scope, check, presented
from services.gateway.key_ring import KeyRing
from services.gateway.resources import Resources
from shared import telemetry
from shared.errors import ForbiddenError, MediScanError, UnauthenticatedError

__all__ = [
    "OPEN",
    "Admin",
    "AnyCaller",
    "Caller",
    "Reader",
    "Scope",
    "Submitter",
    "identify",
    "is_operator",
    "of",
]

#: Headers that may carry a key.
_CREDENTIALS = {"authorization", "x-api-key"}

#: `key_id` of whoever asks a gateway that takes no keys.
OPEN = "open"


@dataclass(frozen=True)
class Caller:
    """An identified caller; what may be logged of a key is its id."""

    key_id: str
    tenant: str
    scopes: frozenset[Scope]
    #: Most submissions a minute; None: what the settings say.
    rate_per_minute: int | None = None
    #: Most jobs a UTC day; None: what the settings say.
    daily_quota: int | None = None


async def of(request: Request, scope: Scope | None) -> Caller:
    """The caller, who has `scope` if one is named; UnauthenticatedError (401) or ForbiddenError (403) otherwise."""
    who = await identify(request)
    if scope is not None and scope not in who.scopes:
        raise ForbiddenError(f"This key does not have the scope `{scope}`.")
    return who


async def identify(request: Request) -> Caller:
    """The caller, whatever he may do; UnauthenticatedError where nobody knows him."""
    held = resources.of(request)
    who = (
        Caller(OPEN, held.settings.tenant, frozenset(Scope))
        if held.keys is None
        else await _key_holder(request, held, held.keys)
    )
    telemetry.note(key=who.key_id)
    return who


async def is_operator(request: Request) -> bool:
    """Whether the caller may see what concerns the house. Never an error: a stranger is merely no operator."""
    if resources.of(request).keys is not None and not _CREDENTIALS & set(request.headers):
        return False
    try:
        await of(request, Scope.ADMIN)
    except MediScanError:
        return False
    return True


async def _key_holder(request: Request, held: Resources, keys: KeyRing) -> Caller:
    try:
        token = presented(request.headers.getlist("authorization"), request.headers.getlist("x-api-key"))
        stored = await keys.find(token.key_id, held.run)
        return _as_caller(check(token, stored, datetime.now(UTC)))
    except UnauthenticatedError:
        held.refused.add()
        raise


def _as_caller(key: ApiKey) -> Caller:
    return Caller(key.id, key.tenant, key.scopes, key.rate_per_minute, key.daily_quota)


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
Admin = Annotated[Caller, Depends(_having(Scope.ADMIN))]
AnyCaller = Annotated[Caller, Depends(_having(None))]
