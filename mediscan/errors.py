"""Everything the client raises on purpose.

    MediScanError
    ├── ConfigurationError           the URL or the key cannot be used as given
    ├── UnreachableError             no answer came, however often we asked
    ├── UnexpectedAnswerError        an answer came, and not from a MediScan this client understands
    ├── WaitTimeoutError             what was waited for is not over yet; it goes on (also a TimeoutError)
    ├── NoResultError                the job ended without a result: failed, cancelled, expired
    └── RefusedError                 the server said no, and why (RFC 9457 problem details)
        ├── InvalidRequestError      400, 413, 415, 422 and other 4xx: the same request cannot succeed
        ├── AuthenticationError      401: no key, or none that is known
        ├── PermissionDeniedError    403: the key may not do this
        ├── NotFoundError            404, 410: no such thing, or not yours
        ├── ConflictError            409: its state does not allow it
        ├── RateLimitedError         429: too much at once
        ├── UnavailableError         502, 503, 504: a part of the house is away
        └── ServerError              other 5xx

Each carries `code` (stable, for programs), `status` (None where no answer came) and `detail` (one sentence).
"""

from typing import Any


class MediScanError(Exception):
    """Base of all. `str()` is the sentence with the code."""

    code = "error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.status = status
        #: How long the server asked us to wait before trying again.
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.detail} ({self.code})"


class ConfigurationError(MediScanError):
    """The URL or the key cannot be used as given."""

    code = "configuration"


class UnreachableError(MediScanError):
    """No answer came."""

    code = "unreachable"


class UnexpectedAnswerError(MediScanError):
    """The answer is not one that a MediScan of this version gives."""

    code = "unexpected_answer"


class WaitTimeoutError(MediScanError, TimeoutError):
    """The wait is over and the job or batch is not. It goes on; wait again, or cancel it."""

    code = "wait_timeout"

    def __init__(self, detail: str, *, last_seen: Any) -> None:
        super().__init__(detail)
        #: The job or batch as it stood (JobView or BatchView).
        self.last_seen = last_seen


class NoResultError(MediScanError):
    """The job ended without a result; `code` says why."""

    code = "no_result"

    def __init__(self, detail: str, *, code: str, job: Any) -> None:
        super().__init__(detail, code=code)
        #: The finished job (JobView).
        self.job = job


class RefusedError(MediScanError):
    """The server answered, and said no."""

    code = "refused"


class InvalidRequestError(RefusedError):
    """The request is at fault; the same one cannot succeed."""


class AuthenticationError(RefusedError):
    """The server wants an API key, or does not know this one."""


class PermissionDeniedError(RefusedError):
    """The key is known and may not do this."""


class NotFoundError(RefusedError):
    """There is no such thing, or it belongs to somebody else."""


class ConflictError(RefusedError):
    """The state of the job does not allow this."""


class RateLimitedError(RefusedError):
    """Too many requests, or a quota is used up."""


class UnavailableError(RefusedError):
    """The server cannot do it at the moment."""


class ServerError(RefusedError):
    """Something went wrong on the server's side."""


_BY_STATUS: dict[int, type[RefusedError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
    429: RateLimitedError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def family(status: int) -> type[RefusedError]:
    """The class for an HTTP status of 400 or more."""
    return _BY_STATUS.get(status) or (ServerError if status >= 500 else InvalidRequestError)  # noqa: PLR2004
