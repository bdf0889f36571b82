"""What the ML readings of the last jobs said, in a few letters each, for as long as their model is in use.

A list a model, bounded in length; a job adds to it in the step that archives it, so once and without a round trip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

import redis

from shared.contracts import AbstainReason, Label, MlReading, ModelDrift
from shared.names import Key
from shared.redis_errors import converted

#: As many readings are kept of a model, and up to a tenth more.
KEPT = 1000
#: A model that has read nothing for this long is forgotten.
_KEPT_MS = 30 * 86_400_000

_LETTER = {None: "-", AbstainReason.INCONCLUSIVE: "i", AbstainReason.OUT_OF_DISTRIBUTION: "o"}
_REASON = {letter: reason for reason, letter in _LETTER.items()}


@dataclass(frozen=True)
class LastReading:
    """One of them."""

    #: `name/version`
    model: str
    is_positive: bool
    p_positive: float
    ood_score: float
    abstained: AbstainReason | None

    @classmethod
    def of(cls, reading: MlReading) -> Self:
        """What is remembered of it."""
        model = f"{reading.model.name}/{reading.model.version}"
        is_positive = reading.label is Label.POSITIVE
        return cls(model, is_positive, reading.p_positive, reading.ood_score, reading.abstain_reason)

    @classmethod
    def parse(cls, model: str, text: str) -> Self:
        """As `as_args` wrote it."""
        label, abstained, p_positive, score = text.split(" ")
        return cls(model, label == "P", float(p_positive), float(score), _REASON[abstained])

    def as_args(self) -> list[str]:
        """As `archived.lua` takes it."""
        label = "P" if self.is_positive else "N"
        text = f"{label} {_LETTER[self.abstained]} {self.p_positive:.4f} {self.ood_score:.4f}"
        return [text, str(KEPT), str(_KEPT_MS)]


class LastReadings:
    """Reads them, and keeps what was made of them; LedgerUnavailableError from each method."""

    def __init__(self, client: "redis.Redis") -> None:
        self._redis = client

    def of(self, model: str) -> list[LastReading]:
        """The last ones of a model, the newest first."""
        with converted():
            texts = cast(list[str], self._redis.lrange(Key.readings(model), 0, KEPT - 1))
        return [LastReading.parse(model, text) for text in texts]

    def note(self, found: Sequence[ModelDrift]) -> None:
        """How far each model is from its card now; of models that are not among these nothing is told any more."""
        with converted(), self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(Key.DRIFT)
            if found:
                pipe.hset(Key.DRIFT, mapping={one.model: one.model_dump_json() for one in found})
            pipe.execute()
