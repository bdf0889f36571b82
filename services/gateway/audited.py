"""What the gateway writes into the audit trail, and what it does not.

A job is `read` where an answer holds a reading or a result; an answer that says "not changed" or "not yet" tells
nothing about a patient and is not recorded. Nothing is told before it is recorded.
"""

from collections.abc import Iterable

from services.gateway.caller import Caller
from services.gateway.resources import Resources
from shared.audit.event import AuditAction, event
from shared.contracts import GeminiReading, JobView, MlReading
from shared.names import JobRef


def audited(action: AuditAction, key_id: str, ref: JobRef) -> str:
    """The event that the holder of a key does this to a job, now, as the ledger takes it."""
    return event(action, key_id, tenant=ref.tenant, job=ref.job_id).text()


async def note(held: Resources, action: AuditAction, who: Caller, ref: JobRef) -> None:
    """Record it, durably; LedgerUnavailableError where that cannot be, and then it must not happen."""
    await held.run(held.ledger.audit.append, audited(action, who.key_id, ref))


async def note_read(held: Resources, who: Caller, ref: JobRef, job: JobView) -> None:
    """Record that `who` is about to see the job, if there is something to see."""
    if _tells(job):
        await note(held, AuditAction.READ, who, ref)


def record_read(held: Resources, who: Caller, ref: JobRef, job: JobView) -> None:
    """`note_read` for a thread that may block."""
    if _tells(job):
        held.ledger.audit.append(audited(AuditAction.READ, who.key_id, ref))


async def note_listed(held: Resources, who: Caller, jobs: Iterable[JobView]) -> None:
    """Record that `who` is about to see these jobs, in one event for all that have something to see."""
    seen = tuple(job.id for job in jobs if _tells(job))
    if seen:
        happened = event(AuditAction.LISTED, who.key_id, tenant=who.tenant, jobs=seen)
        await held.run(held.ledger.audit.append, happened.text())


def _tells(job: JobView) -> bool:
    return isinstance(job.readings.ml, MlReading) or isinstance(job.readings.gemini, GeminiReading)
