"""Compares the last readings of each model with its card, now and then, and says in the log where they part."""

import json
import logging

from shared.contracts import DriftLevel, ModelDrift
from shared.ledger import Ledger
from shared.observe.drift import compare, reference

log = logging.getLogger(__name__)


class DriftWatch:
    """One look at all models; remembers only what it last said of each."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._said: dict[tuple[str, str], DriftLevel] = {}

    def look(self) -> None:
        """Keep what was found in the ledger; log what changed. LedgerUnavailableError without one."""
        cards = self._ledger.models().cards
        found = [
            compare(model, self._ledger.last_readings.of(model), reference(json.loads(card)))
            for model, card in sorted(cards.items())
        ]
        self._ledger.last_readings.note(found)
        for one in found:
            self._say(one)

    def _say(self, found: ModelDrift) -> None:
        for measure in found.measures:
            key, now = (found.model, measure.name), measure.level
            before, self._said[key] = self._said.get(key, DriftLevel.NONE), now
            if now is before or {now, before} == {DriftLevel.NONE, DriftLevel.UNKNOWN}:
                continue
            log.log(
                logging.WARNING if now in {DriftLevel.MODERATE, DriftLevel.STRONG} else logging.INFO,
                "drift: %s is %s, its card says %s: %s",
                measure.name.replace("_", " "),
                measure.observed,
                measure.expected,
                now,
                extra={"model": found.model, "count": found.n},
            )
