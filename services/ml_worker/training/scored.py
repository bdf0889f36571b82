"""Images with their truth and what a model said of them: what every figure is computed from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from services.ml_worker import logic
from services.ml_worker.model import Card, Interval, Model, OodGate, RawOutputs, SetMetrics
from services.ml_worker.training import bootstrap, metrics
from services.ml_worker.training.calibration import Scale
from services.ml_worker.training.metrics import Floats, Labels
from services.ml_worker.training.pixels import Grey, as_batch
from shared.contracts import Label

_DECIMALS = 4
#: Of a ROC curve on a card: enough to draw it.
_MOST_POINTS = 40


class Curves(TypedDict):
    """Two fields of `SetMetrics`."""

    roc: tuple[tuple[float, float], ...]
    reliability: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True)
class Scored:
    """One set of images."""

    truth: Labels
    groups: NDArray[np.int64]
    #: [n, 2]
    logits: NDArray[np.float32]
    #: [n]: from the training images.
    distance: Floats
    #: How often each image is here, read by another network each time; `n` counts all of these.
    readings: int = 1

    def only(self, mask: NDArray[np.bool_] | NDArray[np.int64]) -> "Scored":
        """The images of `mask`, [n], or at these indices."""
        return Scored(
            self.truth[mask], self.groups[mask], self.logits[mask], self.distance[mask], self.readings
        )

    def p_positive(self, scale: Scale) -> Floats:
        """[n]"""
        return np.array([logic.probability(float(n), float(p), *scale) for n, p in self.logits])

    def kept(self, card: Card) -> NDArray[np.bool_]:
        """[n]: whether the reading commits itself, by the very code that serves."""
        return np.array([self._abstains(at, card) is None for at in range(len(self.truth))])

    def _abstains(self, at: int, card: Card) -> object:
        p = logic.probability(float(self.logits[at, 0]), float(self.logits[at, 1]), *scale_of(card))
        label = Label.POSITIVE if p >= card.threshold else Label.NEGATIVE
        return logic.abstain_reason(label, logic.conformal_set(p, card), self.ood_score(at, card.ood))

    def ood_score(self, at: int, gate: OodGate) -> float:
        """Of one image."""
        nothing = np.zeros((0, 0), np.float32)
        return logic.ood_score(RawOutputs(self.logits[at], nothing, nothing, float(self.distance[at])), gate)

    def ood_scores(self, gate: OodGate) -> Floats:
        """[n]"""
        return np.array([self.ood_score(at, gate) for at in range(len(self.truth))])


def scale_of(card: Card) -> Scale:
    """What turns logits into probabilities."""
    return Scale(card.temperature, card.bias)


def pooled(runs: Sequence[Scored]) -> Scored:
    """Readings of the same images by several networks, one after the other."""
    together = {
        name: np.concatenate([getattr(run, name) for run in runs])
        for name in ("truth", "groups", "logits", "distance")
    }
    return Scored(**together, readings=len(runs))


def score(model: Model, pixels: Grey, truth: Labels, groups: NDArray[np.int64]) -> Scored:
    """Run a bundle's model over images, one by one as the worker does."""
    outputs = [model.infer(as_batch(image[np.newaxis])) for image in pixels]
    logits = np.stack([raw.logits for raw in outputs])
    return Scored(truth, groups, logits, np.array([raw.distance for raw in outputs]))


def judge(scored: Scored, card: Card, split: str, *, resamples: int = 1000) -> SetMetrics:
    """All figures of one set at the card's temperature and threshold, intervals over groups."""
    p, kept = scored.p_positive(scale_of(card)), scored.kept(card)
    at = metrics.rates(scored.truth, p, card.threshold)
    right = (p >= card.threshold) == (scored.truth == 1)
    judged = _Resampled(scored.truth, p, scored.groups, card.threshold, resamples)
    return SetMetrics(
        split=split,
        n=len(p) // scored.readings,
        n_positive=int(scored.truth.sum()) // scored.readings,
        groups=len(np.unique(scored.groups)),
        auc=_rounded(metrics.auc(scored.truth, p)),
        auc_interval=judged.interval("auc"),
        accuracy=_rounded(at.accuracy),
        sensitivity=_rounded(at.sensitivity),
        sensitivity_interval=judged.interval("sensitivity"),
        specificity=_rounded(at.specificity),
        specificity_interval=judged.interval("specificity"),
        ppv=_or_none(at.ppv),
        npv=_or_none(at.npv),
        ece=_rounded(metrics.ece(scored.truth, p)),
        brier=_rounded(metrics.brier(scored.truth, p)),
        abstained=_rounded(float((~kept).mean())),
        accuracy_kept=_rounded(float(right[kept].mean())) if kept.any() else None,
        **curves(scored.truth, p),
    )


def curves(truth: Labels, p: Floats) -> Curves:
    """What a page draws of one set; no ROC where there is one class alone."""
    said, seen, number = metrics.reliability(truth, p)
    both = len(np.unique(truth)) > 1
    x, y = metrics.thinned(metrics.roc(truth, p), _MOST_POINTS) if both else ((), ())
    return Curves(
        roc=tuple((_rounded(fpr), _rounded(tpr)) for fpr, tpr in zip(x, y, strict=True)),
        reliability=tuple(
            (_rounded(a), _rounded(b), int(count)) for a, b, count in zip(said, seen, number, strict=True)
        ),
    )


@dataclass(frozen=True)
class _Resampled:
    truth: Labels
    p: Floats
    groups: NDArray[np.int64]
    threshold: float
    resamples: int

    def interval(self, figure: str) -> Interval:
        low, high = bootstrap.interval(
            lambda drawn: self._figure(figure, drawn), self.groups, resamples=self.resamples
        )
        return _rounded(low), _rounded(high)

    def _figure(self, figure: str, drawn: NDArray[np.int64]) -> float:
        if figure == "auc":
            return metrics.auc(self.truth[drawn], self.p[drawn])
        return float(getattr(metrics.rates(self.truth[drawn], self.p[drawn], self.threshold), figure))


def _rounded(value: float) -> float:
    return round(value, _DECIMALS)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else _rounded(value)
