"""How well scores separate and how honest they are: pure functions of truth (0 or 1) and P(positive)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

#: Bins of equal width for the calibration error and the reliability picture.
BINS = 10


@dataclass(frozen=True)
class Rates:
    """The confusion matrix at one threshold, and what follows; NaN where nothing was there to count."""

    tp: int
    fp: int
    tn: int
    fn: int

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return _share(self.tp + self.tn, self.tp + self.fp + self.tn + self.fn)

    @property
    def sensitivity(self) -> float:
        """Share of the positives that were found."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Share of the negatives that were left alone."""
        return _share(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> float:
        """Share of the positive answers that are right, at this set's prevalence."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> float:
        """Share of the negative answers that are right, at this set's prevalence."""
        return _share(self.tn, self.tn + self.fn)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def rates(truth: Labels, scores: Floats, threshold: float) -> Rates:
    """Positive is answered at or above `threshold`."""
    called, ill = scores >= threshold, truth == 1
    counts = (called & ill, called & ~ill, ~called & ~ill, ~called & ill)
    return Rates(*(int(count.sum()) for count in counts))


def auc(truth: Labels, scores: Floats) -> float:
    """Area under the ROC curve: how often a positive outscores a negative, ties counting half; NaN for one class."""
    positive, negative = scores[truth == 1], np.sort(scores[truth == 0])
    if not len(positive) or not len(negative):
        return float("nan")
    below = np.searchsorted(negative, positive, side="left")
    not_above = np.searchsorted(negative, positive, side="right")
    return float((below + not_above).sum() / (2 * len(positive) * len(negative)))


def roc(truth: Labels, scores: Floats) -> tuple[Floats, Floats]:
    """False and true positive rates, from the strictest threshold to the laxest, (0, 0) first."""
    hits, misses = _cumulated(truth, scores)
    return np.append(0, misses / max(1, misses[-1])), np.append(0, hits / max(1, hits[-1]))


def thinned(points: tuple[Floats, Floats], most: int) -> tuple[Floats, Floats]:
    """At most `most` points of a ROC curve, evenly along it, both ends among them."""
    x, y = points
    wanted = np.searchsorted(x + y, np.linspace(0, 2, most - 2))
    chosen = np.unique(np.append(np.minimum(wanted, len(x) - 1), [0, len(x) - 1]))
    return x[chosen], y[chosen]


def precision_recall(truth: Labels, scores: Floats) -> tuple[Floats, Floats]:
    """Recall and precision at each distinct threshold, from the strictest to the laxest."""
    hits, misses = _cumulated(truth, scores)
    return hits / max(1, hits[-1]), hits / (hits + misses)


def _cumulated(truth: Labels, scores: Floats) -> tuple[Floats, Floats]:
    """True and false positives at each distinct score taken as the threshold, highest first."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits = np.cumsum(truth[order] == 1, dtype=np.float64)
    return hits[last], (last + 1) - hits[last]


def brier(truth: Labels, scores: Floats) -> float:
    """Mean squared distance of P(positive) from the truth (Brier 1950)."""
    return float(np.mean((scores - truth) ** 2))


def reliability(truth: Labels, scores: Floats, bins: int = BINS) -> tuple[Floats, Floats, Labels]:
    """For each bin that holds anything: mean P(positive), share of positives, how many."""
    place = np.minimum((scores * bins).astype(np.int64), bins - 1)
    filled = np.unique(place)
    said = np.array([scores[place == at].mean() for at in filled])
    seen = np.array([truth[place == at].mean() for at in filled])
    return said, seen, np.array([(place == at).sum() for at in filled], dtype=np.int64)


def ece(truth: Labels, scores: Floats, bins: int = BINS) -> float:
    """Expected calibration error of P(positive): mean distance of said from seen, weighted by bin (Guo et al. 2017).

    Never zero on a small set, even for a perfect model: a bin of ten images is seldom right to 5 %.
    """
    said, seen, number = reliability(truth, scores, bins)
    return float(np.average(np.abs(said - seen), weights=number))
