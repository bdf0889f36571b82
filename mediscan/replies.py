"""What came back, as values, and what it means. Nothing here waits or sends."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from mediscan.errors import MediScanError, NoResultError, UnexpectedAnswerError, UnreachableError, family
from mediscan.wire import contracts, job_state

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

#: Some items, and the cursor of the next page; None after the last.
Page = tuple[Sequence[T], str | None]

_OK, _REDIRECT, _REFUSED = 200, 300, 400
NOT_MODIFIED = 304


@dataclass(frozen=True)
class Reply:
    """An answer, whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class NoReply:
    """There was no whole answer."""

    why: str
    #: False where the request surely never left.
    may_have_arrived: bool
    #: Whether the next attempt must end the same way.
    is_final: bool = False


def error(reply: Reply | NoReply) -> MediScanError | None:
    """What `reply` means where it is not the answer that was asked for; None where it is."""
    if isinstance(reply, NoReply):
        return UnreachableError(reply.why)
    if _OK <= reply.status < _REDIRECT or reply.status == NOT_MODIFIED:
        return None
    if reply.status < _REFUSED:
        return UnexpectedAnswerError(
            f"The server sends us elsewhere ({reply.headers.get('location', 'without saying where')}): "
            "set the URL to where it really is.",
            status=reply.status,
        )
    return _refused(reply)


def parse(reply: Reply, model: type[M]) -> M:
    """The body as `model`; fields that this client does not know yet are passed over.

    UnexpectedAnswerError where it is something else.
    """
    try:
        return model.model_validate_json(reply.body, extra="ignore")
    except ValidationError as invalid:
        raise _not_ours(reply) from invalid


def readiness(reply: Reply) -> contracts.Readiness | contracts.ReadyStatus:
    """What `/readyz` says: with the reasons where our key has the scope `admin`."""
    try:
        return parse(reply, contracts.Readiness)
    except UnexpectedAnswerError:
        return parse(reply, contracts.ReadyStatus)


def job_page(reply: Reply) -> Page[contracts.JobView]:
    """Some jobs of a list."""
    page = parse(reply, contracts.JobPage)
    return page.items, page.next_cursor


def dead_letter_page(reply: Reply) -> Page[contracts.DeadLetter]:
    """Some dead letters."""
    page = parse(reply, contracts.DeadLetterPage)
    return page.items, page.next_cursor


def job_or_problem(line: bytes) -> contracts.JobView | contracts.Problem:
    """One line of a batch's results."""
    try:
        return contracts.JobView.model_validate_json(line, extra="ignore")
    except ValidationError:
        return parse(Reply(_OK, {}, line), contracts.Problem)


def results(reply: Reply) -> Iterator[contracts.JobView | contracts.Problem]:
    """JSON Lines, in order."""
    return (job_or_problem(line) for line in reply.body.splitlines() if line.strip())


def is_over(job: contracts.JobView) -> bool:
    """Whether the job has ended, in whatever way."""
    return job.state in job_state.TERMINAL


def result_of(job: contracts.JobView) -> contracts.FusedResult:
    """A finished job's result; NoResultError where it ended without one."""
    if job.result is not None:
        return job.result
    code, why = (job.error.code, job.error.detail) if job.error else (job.state, "There is no result.")
    raise NoResultError(f"The job is {job.state}: {why}", code=code, job=job)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """How long the server asks us to wait, in seconds, whichever way it says so (RFC 9110, 10.2.3)."""
    asked = headers.get("retry-after", "").strip()
    if asked.isdecimal():
        return float(asked)
    until, since = _date(asked), _date(headers.get("date", "")) or now or datetime.now(UTC)
    return max(0.0, (until - since).total_seconds()) if until else None


def server_time(reply: Reply) -> datetime | None:
    """The server's clock when it answered."""
    return _date(reply.headers.get("date", ""))


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _refused(reply: Reply) -> MediScanError:
    code, detail = f"http_{reply.status}", f"HTTP {reply.status} without a word on why."
    try:
        problem = contracts.Problem.model_validate_json(reply.body, extra="ignore")
        code, detail = problem.code, problem.detail
    except ValidationError:
        # A proxy's page, or nothing at all: the status is all there is to say.
        pass
    return family(reply.status)(
        detail, code=code, status=reply.status, retry_after_s=retry_after_s(reply.headers)
    )


def _not_ours(reply: Reply) -> UnexpectedAnswerError:
    kind = reply.headers.get("content-type", "unknown content").partition(";")[0]
    return UnexpectedAnswerError(
        f"The answer ({kind}) is not what a MediScan server gives: is this its URL, and is this client not older?",
        status=reply.status,
    )
