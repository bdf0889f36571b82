"""Between our values and httpx: the only module that knows how it spells things. No I/O of its own."""

import os
import ssl
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx

from mediscan.calls import Call
from mediscan.config import Config
from mediscan.replies import NoReply, Reply
from mediscan.version import __version__

#: Nothing but a name and a number: which files a client has is nobody's business.
_PART_NAME = "upload"


#: What an exchange may fail with.
FAILURES = (httpx.HTTPError, TimeoutError)


def options(config: Config, verify: ssl.SSLContext | None) -> dict[str, Any]:
    """For `httpx.Client` and `httpx.AsyncClient`. A key never follows a redirect: none is followed."""
    headers = {"User-Agent": f"mediscan-python/{__version__}", "Accept": "application/json, */*;q=0.5"}
    if config.api_key:
        headers["Authorization"] = f"Bearer {config.api_key}"
    return {"base_url": config.url, "headers": headers, "follow_redirects": False, "verify": verify or True}


def arguments(call: Call, timeout_s: float, *, silence_s: float | None = None) -> dict[str, Any]:
    """For `stream` of either. silence_s: how long an open stream may say nothing; `timeout_s` unless given."""
    files = [(name, (_PART_NAME, content, "application/octet-stream")) for name, content in call.files]
    return {
        "method": call.method,
        "url": call.path,
        "params": dict(call.params) or None,
        "headers": dict(call.headers),
        "data": dict(call.fields) or None,
        "files": files or None,
        "timeout": httpx.Timeout(timeout_s, connect=min(timeout_s, 10), read=silence_s or timeout_s),
    }


def head(answer: httpx.Response) -> Reply:
    """Status and headers; the body is still to come."""
    return Reply(answer.status_code, {name.lower(): value for name, value in answer.headers.items()})


def whole(answer: httpx.Response, body: bytes) -> Reply:
    """The answer with its body."""
    return replace(head(answer), body=body)


def no_reply(error: Exception, config: Config) -> NoReply:
    """An exchange that came to nothing, in words that name the server and no content."""
    never_left = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    untrusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))
    why = "its certificate cannot be verified" if untrusted else _why(error)
    return NoReply(
        f"No answer from {config.url.rstrip('/')}: {why}.",
        may_have_arrived=not never_left,
        is_final=untrusted,
    )


def _why(error: Exception) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "it does not take the connection"
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "it took too long"
    if isinstance(error, httpx.ConnectError):
        return _os_reason(error)
    return "the connection was cut"


def _os_reason(error: Exception) -> str:
    """What the operating system said: the library wraps it as `All connection attempts failed` on some ways."""
    root = [cause for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror]
    if not root:
        return "it cannot be connected to"
    # asyncio puts words of its own into `strerror`; a name that cannot be resolved has a number of its own.
    number = root[-1].errno
    return (os.strerror(number) if number and number > 0 else root[-1].strerror or "").lower()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
