"""How far the last readings of a model are from what its card was made with. Pure; formulas in docs/operate.md.

Every card holds shares: how often its held-out images were read as Positive, how many were taken for another kind of
image, on how many the reading abstained. A newer one also holds the deciles of P(positive) and of the score that tells
other kinds of images. Both are compared by the population stability index, over two bins or ten (Siddiqi, Credit Risk
Scorecards, 2006, whose limits 0.1 and 0.25 these are), and told only where few readings do not explain it by chance.
"""

import math
import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.contracts import AbstainReason, DriftLevel, DriftMeasure, ModelDrift
from shared.ledger import LastReading

#: Fewer readings than this tell nothing.
LEAST = 100
MODERATE_PSI, STRONG_PSI = 0.1, 0.25
#: About one false alarm in 16,000 looks, if these were independent.
CHANCE_Z = 4.0

#: PSI over ten bins by chance alone, times nm/(n + m), is chi-square of nine degrees (Yurdakul and Naranjo, Statistical
#: properties of the population stability index, 2020): above this once in 100,000.
CHANCE_CHI2 = 40.0

#: A share of 0 or 1 would make any other infinitely far.
_MARGIN = 0.5
#: Sets of images on a card that the shipped network was not trained on begin with this.
_HELD_OUT = "cross_validation"

Name = Literal["positive_rate", "ood_rate", "abstention_rate"]
Distributed = Literal["p_positive", "ood_score"]


@dataclass(frozen=True)
class Reference:
    """What a card says of its held-out images."""

    #: Its name on the card.
    name: str
    #: Patients, or clusters of near-duplicates: images of one are no independent evidence.
    groups: int
    rates: Mapping[Name, float]
    #: Nine values between ten bins of equal share, and how many images they are from.
    deciles: Mapping[Distributed, Sequence[float]] = field(default_factory=dict)
    n: int = 0


def reference(card: Mapping[str, Any]) -> Reference | None:
    """The held-out images that threshold and gate were fitted to; of all sources where these are not told apart."""
    metrics, ood = card.get("metrics", {}), card.get("ood", {})
    held_out = [name for name in metrics if name.partition("/")[0] == _HELD_OUT]
    fitted = [
        name
        for name in held_out
        if "/" in name and _is_named(name.rpartition("/")[2], ood.get("fitted_on", ""))
    ]
    if not held_out:
        return None
    name = (fitted or held_out)[0]
    found = metrics[name]
    share = found["n_positive"] / found["n"]
    return Reference(
        name=name,
        groups=found["groups"],
        rates={
            "positive_rate": share * found["sensitivity"] + (1 - share) * (1 - found["specificity"]),
            "ood_rate": 1 - ood["pass_rate"],
            "abstention_rate": found["abstained"],
        },
        **_deciles(card.get("reference")),
    )


def _deciles(stored: Mapping[str, Any] | None) -> dict[str, Any]:
    if stored is None:
        return {}
    return {"deciles": {name: stored[name] for name in ("p_positive", "ood_score")}, "n": stored["n"]}


def _is_named(source: str, words: str) -> bool:
    return source in words.replace(",", " ").split()


def compare(model: str, readings: Sequence[LastReading], against: Reference | None) -> ModelDrift:
    """The last readings of a model against its card."""
    ood = sum(reading.abstained is AbstainReason.OUT_OF_DISTRIBUTION for reading in readings)
    counted: Mapping[Name, int] = {
        "positive_rate": sum(reading.is_positive for reading in readings),
        "ood_rate": ood,
        "abstention_rate": sum(reading.abstained is not None for reading in readings),
    }
    return ModelDrift(
        model=model,
        n=len(readings),
        reference=against.name if against else None,
        measures=(
            *(_measure(name, count, len(readings), against) for name, count in counted.items()),
            *_distributions(readings, against),
        ),
        median_ood_score=statistics.median(reading.ood_score for reading in readings) if readings else None,
    )


def _measure(name: Name, count: int, n: int, against: Reference | None) -> DriftMeasure:
    observed = count / n if n else None
    expected = against.rates[name] if against else None
    if against is None or observed is None or expected is None:
        return _told(name, observed=observed, expected=expected)
    distance = psi(_inside(observed, n), _inside(expected, against.groups))
    z = errors_apart(observed, n, expected, against.groups)
    level = _level(n, distance, is_chance=abs(z) < CHANCE_Z)
    return _told(name, level, observed=observed, expected=expected, psi=distance, z=z)


def _distributions(readings: Sequence[LastReading], against: Reference | None) -> Iterator[DriftMeasure]:
    if against is None or not readings:
        return
    for name, edges in against.deciles.items():
        values, n = [float(getattr(reading, name)) for reading in readings], len(readings)
        distance = psi_over_bins(values, edges)
        is_chance = distance * n * against.n / (n + against.n) < CHANCE_CHI2
        level = _level(n, distance, is_chance=is_chance)
        yield _told(
            name, level, observed=statistics.median(values), expected=edges[len(edges) // 2], psi=distance
        )


def psi_over_bins(values: Sequence[float], edges: Sequence[float]) -> float:
    """Of a sample against bins of equal share between `edges`; an empty bin counts as half a value."""
    counts = Counter(bisect_right(edges, value) for value in values)
    expected = 1 / (len(edges) + 1)
    observed = [max(counts[at], _MARGIN) / len(values) for at in range(len(edges) + 1)]
    return sum((o - expected) * math.log(o / expected) for o in observed)


def _told(
    name: Name | Distributed, level: DriftLevel = DriftLevel.UNKNOWN, **found: float | None
) -> DriftMeasure:
    none = dict.fromkeys(("observed", "expected", "psi", "z"))
    rounded = {what: None if value is None else round(value, 4) for what, value in {**none, **found}.items()}
    return DriftMeasure.model_validate({"name": name, "level": level, **rounded})


def psi(observed: float, expected: float) -> float:
    """Sum over the two bins of (o - e) ln(o / e)."""
    pairs = ((observed, expected), (1 - observed, 1 - expected))
    return sum((o - e) * math.log(o / e) for o, e in pairs)


def errors_apart(observed: float, n: int, expected: float, groups: int) -> float:
    """Difference of two shares in standard errors, the variance pooled (two-proportion z-test)."""
    pooled = _inside((observed * n + expected * groups) / (n + groups), n + groups)
    return (observed - expected) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / groups))


def _inside(share: float, n: int) -> float:
    return min(1 - _MARGIN / n, max(_MARGIN / n, share))


def _level(n: int, distance: float, *, is_chance: bool) -> DriftLevel:
    if n < LEAST:
        return DriftLevel.UNKNOWN
    if distance < MODERATE_PSI or is_chance:
        return DriftLevel.NONE
    return DriftLevel.STRONG if distance >= STRONG_PSI else DriftLevel.MODERATE
