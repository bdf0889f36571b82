"""Requests without a valid key: counted here, recorded as one number now and then.

Not one by one: whoever has no key must not be able to fill the ledger.
"""

import asyncio
import logging

from services.gateway.resources import Resources
from shared.audit.event import AuditAction, event
from shared.errors import LedgerUnavailableError

log = logging.getLogger(__name__)

_EVERY_S = 60.0


async def record_now_and_then(held: Resources) -> None:
    """Record what was counted once a minute, and what is left when this is cancelled."""
    try:
        while True:
            await asyncio.sleep(_EVERY_S)
            await held.run(record, held)
    finally:
        record(held)


def record(held: Resources) -> None:
    """Record what was counted since the last time; it stays counted where the ledger is away."""
    count = held.refused.taken()
    if not count:
        return
    try:
        held.ledger.audit.append(event(AuditAction.REFUSED_LOGINS, "house", count=count).text())
    except LedgerUnavailableError:
        held.refused.add(count)
        log.warning("refused logins are not recorded yet: the ledger is away", extra={"count": count})
