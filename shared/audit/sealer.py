"""Moves events from the ledger's list into the chain: each once, whatever dies in between, and however many seal.

The ledger remembers the head up to which its list is sealed, and forgets sealed events and advances that head in
one step. So after a death in between the next segment is there already, and its events are forgotten by their ids
before anything else is sealed. Two sealers want to write the same number, and one of them loses.
"""

import json
import logging

from shared.audit.chain import Head, hash_of_last_line, ids
from shared.audit.event import AuditAction, event
from shared.audit.trail import Trail
from shared.errors import BlobMissingError, MediScanError
from shared.ledger import Ledger

log = logging.getLogger(__name__)

#: Events a segment.
_MOST = 1000
#: Segments in one go; what is left waits for the next.
_MOST_SEGMENTS = 100


class Sealer:
    """Seals what the ledger holds."""

    def __init__(self, ledger: Ledger, trail: Trail) -> None:
        self._ledger = ledger
        self._trail = trail

    def seal(self) -> int:
        """Seal everything that waits; how many events. LedgerUnavailableError, BlobStoreUnavailableError."""
        sealed = 0
        for _ in range(_MOST_SEGMENTS):
            found = self._step()
            if found == 0:
                break
            sealed += max(found, 0)
        return sealed

    def _step(self) -> int:
        """Events sealed; 0: nothing is left to do; -1: look again."""
        head, waiting = self._ledger.audit.waiting(_MOST)
        if head is None:
            began = self._trail.append(event(AuditAction.LEDGER_BEGAN, "house"))
            self._ledger.audit.begin(began)
            return -1
        if self._catch_up(head.segment + 1):
            return -1
        if not waiting:
            return 0
        texts = {_id(text): text for text in waiting}  # after a lost reply an event is there twice
        after = self._trail.follow(head, list(texts.values()))
        if after is None:
            return -1
        self._ledger.audit.sealed(after, list(texts))
        log.info(
            "audit trail sealed up to segment %d, head %s",
            after.segment,
            after.hash,
            extra={"count": len(texts)},
        )
        return len(texts)

    def _catch_up(self, number: int) -> bool:
        """Whether segment `number` is there already: then the ledger forgets what it holds."""
        try:
            segment = self._trail.segment(number)
        except BlobMissingError:
            return False
        self._ledger.audit.sealed(Head(number, hash_of_last_line(segment)), ids(segment))
        return True


def _id(text: str) -> str:
    try:
        return str(json.loads(text)["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise MediScanError("an audit event in the ledger cannot be read, and nothing is sealed") from error
