"""What the real API would refuse before it looks at the picture: key, path, deadline, JSON, image."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fake_gemini import responses
from tests.fake_gemini.http import Request

_PATH = re.compile(r"/v1beta/models/gemini-[A-Za-z0-9._-]+:generateContent")
_SHORTEST_DEADLINE_S = 10

Refusal = tuple[int, dict[str, Any]]


def refusal(request: Request) -> Refusal | None:
    """Status and body of the error the real server would send, or None when the request is good."""
    if request.method != "POST" or not _PATH.fullmatch(urlsplit(request.target).path):
        return 404, responses.error(404, "NOT_FOUND", "The model is not found, or not supported.")
    if not api_key(request):
        return 403, responses.error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.")
    problem = _deadline_problem(request) or _body_problem(request.body)
    return (400, responses.error(400, "INVALID_ARGUMENT", problem)) if problem else None


def api_key(request: Request) -> str:
    """The key, from the header or the query; empty without one."""
    in_query = parse_qs(urlsplit(request.target).query).get("key", [""])
    return request.headers.get("x-goog-api-key", in_query[0])


def _deadline_problem(request: Request) -> str | None:
    stated = float(request.headers.get("x-server-timeout", _SHORTEST_DEADLINE_S))
    if stated >= _SHORTEST_DEADLINE_S:
        return None
    return f"Manually set deadline {stated:g}s is too short. Minimum allowed deadline is 10s."


def _body_problem(body: bytes) -> str | None:
    try:
        sent = images(body)
    except (ValueError, TypeError, KeyError, AttributeError):
        return "Invalid JSON payload received."
    return None if sent and all(sent) else "Unable to process input image."


def images(body: bytes) -> list[bytes]:
    """The pictures in a request's body, decoded; ValueError, TypeError, KeyError or AttributeError if malformed."""
    inline = [_field(part, "inlineData", "inline_data") for part in _parts(json.loads(body))]
    return [_decoded(part["data"]) for part in inline if part]


def _decoded(data: str) -> bytes:
    """JSON's form of proto `bytes`: either alphabet of base64 (google-genai sends the URL-safe one)."""
    return base64.b64decode(data.replace("-", "+").replace("_", "/"), validate=True)


def _parts(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for content in request["contents"]:
        yield from content["parts"]


def _field(message: dict[str, Any], *spellings: str) -> Any:
    """The API takes the proto's own spelling as well as JSON's."""
    return next((message[name] for name in spellings if name in message), None)
