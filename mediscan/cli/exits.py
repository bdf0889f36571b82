"""Exit statuses, and errors in one line with what to do. docs/cli.md lists the statuses."""

import sys
from enum import IntEnum

from mediscan import errors
from mediscan.wire import contracts, job_state


class Exit(IntEnum):
    """What a command's exit status says."""

    OK = 0
    #: A job ended without a result, or a command of the server could not do its work.
    FAILED = 1
    #: The command line, a file or the configuration is at fault.
    USAGE = 2
    #: No usable answer: nobody there, not now, or not a MediScan.
    UNREACHABLE = 3
    #: The server said no, or does not know the key.
    REFUSED = 4
    #: Not over yet.
    TIMEOUT = 5


#: From the narrow to the wide: the first that fits counts.
_STATUS: tuple[tuple[type[errors.MediScanError], Exit, str], ...] = (
    (errors.ConfigurationError, Exit.USAGE, ""),
    (errors.UnreachableError, Exit.UNREACHABLE, "Is MEDISCAN_URL right? `mediscan doctor` looks closer."),
    (errors.UnexpectedAnswerError, Exit.UNREACHABLE, "`mediscan doctor` looks closer."),
    (errors.WaitTimeoutError, Exit.TIMEOUT, "`mediscan watch` goes on waiting."),
    (errors.NoResultError, Exit.FAILED, ""),
    (
        errors.AuthenticationError,
        Exit.REFUSED,
        "Set MEDISCAN_API_KEY to a key of this server; its operator makes one with `mediscan keys create`.",
    ),
    (errors.PermissionDeniedError, Exit.REFUSED, "Ask the server's operator for a key with that scope."),
    (errors.RateLimitedError, Exit.REFUSED, "Try again later, or ask for less at once."),
    (errors.UnavailableError, Exit.UNREACHABLE, "Try again later; `mediscan doctor` looks closer."),
    (errors.ServerError, Exit.UNREACHABLE, "The server's log says more."),
    (errors.MediScanError, Exit.REFUSED, ""),
)

_NO_SERVER = (
    "This command belongs to the server's installation: run it in its checkout or in the gateway's container."
)


def explain(error: BaseException) -> tuple[str, Exit] | None:
    """One line for a person and the exit status; None for what is a fault of ours."""
    if isinstance(error, errors.MediScanError):
        exit_, hint = next((status, hint) for family, status, hint in _STATUS if isinstance(error, family))
        return f"{error} {hint}".rstrip(), exit_
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or 'cannot be used').lower()}.", Exit.USAGE
    if isinstance(error, ModuleNotFoundError):
        return _missing((error.name or "").partition(".")[0])
    return _of_the_server(error)


def of_job(job: contracts.JobView) -> Exit:
    """What the end of a job means to a script."""
    if job.state not in job_state.TERMINAL:
        return Exit.TIMEOUT
    return Exit.OK if job.result is not None else Exit.FAILED


def _missing(module: str) -> tuple[str, Exit] | None:
    if module in {"services", "shared", "redis", "celery", "obstore", "pydantic_settings"}:
        return _NO_SERVER, Exit.USAGE
    if module in {"httpx", "rich"}:
        return 'This command needs the client: pip install "mediscan[cli]".', Exit.USAGE
    return None


def _of_the_server(error: BaseException) -> tuple[str, Exit] | None:
    """Errors of the commands that run on the server's machine; their module is loaded if one was raised."""
    module = sys.modules.get("shared.errors")
    if module is None or not isinstance(error, module.MediScanError):
        return None
    return str(error.detail), Exit.FAILED
