"""Every error as RFC 9457 problem+json with a stable `code`: ours, the framework's, and the unexpected.

No sentence here quotes the request, and no answer holds a stack trace.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.contracts import Problem
from shared.errors import CallerError, MediScanError, UnauthenticatedError

MEDIA_TYPE = "application/problem+json"

#: What the framework itself refuses: code, title and sentence by status.
_FRAMEWORK = {
    404: ("not_found", "Not found", "There is nothing at this address."),
    405: ("method_not_allowed", "Method not allowed", "This address does not take this method."),
}


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem; the unexpected ones come through `unexpected`."""
    app.add_exception_handler(MediScanError, _on_ours)
    app.add_exception_handler(HTTPException, _on_framework)
    app.add_exception_handler(RequestValidationError, _on_invalid)


def as_problem(error: MediScanError, instance: str | None = None) -> Problem:
    """What is said of an error; instance: the path that was asked for."""
    return Problem(
        type=f"/problems/{error.code}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        code=error.code,
        instance=instance,
    )


def problem(request: Request, error: MediScanError, headers: Mapping[str, str] | None = None) -> Response:
    """One error as an answer, with Retry-After where the same request may succeed later."""
    body = as_problem(error, request.url.path)
    extra = {"Retry-After": str(math.ceil(error.retry_after_s))} if error.retryable else {}
    extra |= getattr(request.state, "refusal_headers", {})
    if isinstance(error, UnauthenticatedError):
        extra["WWW-Authenticate"] = "Bearer"  # RFC 9110, 11.6.1
    return Response(
        body.model_dump_json(),
        status_code=error.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **extra, **(headers or {})},
    )


def unexpected(request: Request) -> Response:
    """The answer to an error nobody foresaw."""
    return problem(request, MediScanError("An unexpected error; it is logged on our side."))


async def _on_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, MediScanError)  # noqa: S101 - registered for this class; tells mypy
    # A refused upload is not read to its end, so its connection cannot carry another request.
    return problem(request, error, {"Connection": "close"} if request.method in {"POST", "PUT"} else None)


async def _on_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class; tells mypy
    default = ("bad_request", "The request cannot be accepted", "The request cannot be accepted.")
    code, title, detail = _FRAMEWORK.get(error.status_code, default)
    refused = CallerError(detail, code=code, status=error.status_code)
    refused.title = title
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers |= _allow(request)
    return problem(request, refused, headers)


def _allow(request: Request) -> dict[str, str]:
    """All methods of the address: the framework names those of its first route alone (RFC 9110, 15.5.6)."""
    described = request.app.openapi()["paths"].get(getattr(request.scope.get("route"), "path", ""), {})
    return {"Allow": ", ".join(sorted(map(str.upper, described)))} if described else {}


async def _on_invalid(request: Request, error: Exception) -> Response:
    del error  # it quotes the request
    return problem(
        request, CallerError("A parameter is missing or malformed.", code="bad_parameter", status=422)
    )
