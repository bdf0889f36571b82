"""Pages of other origins that may use the API from a browser: those that the operator names, and no other.

A caller still needs its key: no cookie is ever sent or taken. A page that is not named can send what any form can
and is told nothing; where nobody needs a key, `neighbours.py` refuses even that.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from services.gateway.problems import MEDIA_TYPE
from shared.contracts import Problem

_METHODS = ("DELETE", "GET", "POST", "PUT")

#: What a page may send beside what every page may.
_SENT = (
    "Authorization",
    "Cache-Control",  # EventSource libraries send it
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "X-API-Key",
)

#: What a page may read beside what every page may.
_TOLD = (
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
)

_REFUSED = Problem(
    type="/problems/cors_refused",
    title="Not from this page",
    status=403,
    detail="Pages of this origin, or with this method or these headers, may not use the API (MEDISCAN_CORS_ORIGINS).",
    code="cors_refused",
)


class Cors(CORSMiddleware):
    """ASGI middleware. origins: as browsers send them, such as `https://ris.example.org`."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_SENT,
            expose_headers=_TOLD,
            # A page of the internet that is named may reach a gateway in the hospital.
            allow_private_network=True,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """As the base class, which refuses in plain text, but as a problem like everything else."""
        found = super().preflight_response(request_headers)
        if found.status_code < 400:  # noqa: PLR2004 - client errors begin here
            return Response(status_code=204, headers=_kept(found))
        headers = _kept(found) | {"Cache-Control": "no-store"}
        return Response(
            _REFUSED.model_dump_json(), status_code=_REFUSED.status, media_type=MEDIA_TYPE, headers=headers
        )


def _kept(answer: Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
