"""Whether a submission may come in at all: asked before its body is read, so that a refusal costs nobody an upload.

What each limit is for, and what the caller sees: docs/limits.md.
"""

from services.gateway.caller import Caller
from services.gateway.resources import Resources
from services.gateway.settings import GatewaySettings
from shared.errors import BlobStoreFullError
from shared.ledger import Admission, Limits
from shared.names import JobRef
from shared.redis_errors import ledger_full


def limits_of(who: Caller, settings: GatewaySettings) -> Limits:
    """The limits that hold for this caller: those of its key, the house's where it has none of its own."""
    return Limits(
        key_id=who.key_id,
        max_live=settings.max_live_jobs,
        max_live_of_tenant=max(1, int(settings.max_live_jobs * settings.max_live_jobs_per_tenant_share)),
        per_minute=settings.rate_per_minute if who.rate_per_minute is None else who.rate_per_minute,
        per_day=settings.daily_quota if who.daily_quota is None else who.daily_quota,
    )


def admit(held: Resources, ref: JobRef, who: Caller) -> Admission:
    """Ask blob store and ledger, the latter in one round trip, and one more a second; the verdict is yours to check.

    BlobStoreFullError, LedgerFullError: no room for anybody. LedgerUnavailableError: no job could be recorded.
    """
    _check_room(held)
    return held.ledger.admit(ref, limits_of(who, held.settings))


def _check_room(held: Resources) -> None:
    free = held.blobs.free_bytes()
    if free is not None and free < held.settings.min_free_blob_bytes:
        raise BlobStoreFullError("The image store is full for now.")
    if held.ledger.memory_used() > held.settings.max_ledger_memory:
        raise ledger_full()
