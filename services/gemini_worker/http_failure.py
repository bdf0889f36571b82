"""What an HTTP error of the Gemini API means to us, whichever library received it.

Body: `{"error": {"code", "message", "status", "details": [...]}}`, the JSON form of google.rpc.Status
(https://cloud.google.com/apis/design/errors). Only its `RetryInfo` and the reason of its `ErrorInfo` are read; the
rest may echo the request.
"""

import re
from collections.abc import Iterator, Mapping

from services.gemini_worker.failure import ReadingFailedError
from shared.contracts import UnavailableReason

_TOO_MANY_REQUESTS = 429
_FIRST_SERVER_ERROR = 500
#: Unauthorized, Forbidden.
_KEY_REFUSED = frozenset({401, 403})
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
#: A key that is none, or has expired, is answered with 400 and this reason.
_BAD_KEY = "API_KEY_INVALID"
#: `3`, `3.5` or, as a JSON Duration, `3.5s`.
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s?")


def from_status(status: int, body: object, headers: Mapping[str, str]) -> ReadingFailedError:
    """The failure that an HTTP answer other than 200 amounts to; `body` is its decoded JSON, if it was JSON."""
    if status == _TOO_MANY_REQUESTS:
        detail = "Gemini declined: too many requests, or the quota is used up."
        return ReadingFailedError(UnavailableReason.RATE_LIMITED, detail, retry_after_s(body, headers))
    if status >= _FIRST_SERVER_ERROR:
        detail = f"Gemini failed on its side (HTTP {status})."
        return ReadingFailedError(UnavailableReason.SERVER_ERROR, detail, retry_after_s(body, headers))
    if status in _KEY_REFUSED or _BAD_KEY in _fields(body, _ERROR_INFO, "reason"):
        return ReadingFailedError(
            UnavailableReason.KEY_REJECTED, f"Gemini refused the key (HTTP {status}): check it."
        )
    detail = f"Gemini refused the request (HTTP {status}): check the model name and the base URL."
    return ReadingFailedError(UnavailableReason.REQUEST_REJECTED, detail)


def retry_after_s(body: object, headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: the longer of `RetryInfo.retryDelay` and `Retry-After` (in seconds, not as a date)."""
    stated = [*_fields(body, _RETRY_INFO, "retryDelay"), headers.get("Retry-After", "")]
    seconds = [float(match[1]) for match in map(_SECONDS.fullmatch, stated) if match]
    return max(seconds, default=None)


def _fields(body: object, rpc_type: str, name: str) -> Iterator[str]:
    """That field of each detail of a type."""
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and detail.get("@type") == rpc_type:
            yield str(detail.get(name, ""))
