"""Jobs of a tenant that were given up, as its operator sees them: page by page, newest first."""

import math
from datetime import UTC, datetime

from services.gateway import lookup
from services.gateway.resources import Resources
from shared.contracts import DeadLetter, DeadLetterPage, JobError
from shared.errors import CallerError, NotFoundError
from shared.names import JobRef, is_job_id

_NOT_STORED = JobError(code="not_stored", detail="Nothing is stored of this job but, perhaps, its image.")


def page(held: Resources, tenant: str, limit: int, cursor: str | None) -> DeadLetterPage:
    """Up to `limit` of them, after `cursor`; CallerError (422) for a cursor that is none of ours."""
    found = held.ledger.dead_letters_of(tenant, limit=limit + 1, before=_parse(cursor) if cursor else None)
    shown = found[:limit]
    last = shown[-1] if len(found) > limit else None
    return DeadLetterPage(
        items=tuple(_letter(held, ref, at) for ref, at in shown),
        next_cursor=f"{last[1]!r}~{last[0].job_id}" if last else None,
    )


def one(held: Resources, ref: JobRef) -> DeadLetter:
    """Why this job was given up; NotFoundError where it is no dead letter."""
    at = held.ledger.died_at(ref)
    if at is None:
        raise NotFoundError("There is no dead letter of this job.", code="unknown_dead_letter")
    return _letter(held, ref, at)


def _letter(held: Resources, ref: JobRef, at: float) -> DeadLetter:
    try:
        error = lookup.find(held, ref).error
    except NotFoundError:
        error = None
    return DeadLetter(
        job_id=ref.job_id, died_at=datetime.fromtimestamp(at, tz=UTC), error=error or _NOT_STORED
    )


def _parse(cursor: str) -> tuple[float, str]:
    seconds, _, job_id = cursor.partition("~")
    try:
        at = float(seconds)
    except ValueError:
        at = math.nan
    if not (math.isfinite(at) and is_job_id(job_id)):
        raise CallerError("This is no cursor of an earlier page.", code="bad_cursor", status=422)
    return at, job_id
