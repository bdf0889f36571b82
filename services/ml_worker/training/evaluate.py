"""What a model is worth on a set of images: AUC and the rates at its operating point, and int8 against float32."""

import numpy as np
from numpy.typing import NDArray

from services.ml_worker.logic import probability
from services.ml_worker.model import Model, Parity, SetMetrics
from services.ml_worker.training.data import Sample, load_images

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def p_positive(model: Model, samples: list[Sample], temperature: float) -> Floats:
    """[n]: P(positive) of each image, read one by one as the worker does."""
    logits = (model.infer(load_images([sample])).logits for sample in samples)
    return np.array([probability(float(pair[0]), float(pair[1]), temperature) for pair in logits])


def auc(truth: Labels, scores: Floats) -> float:
    """Area under the ROC curve: how often a positive outscores a negative, ties counting half."""
    positive, negative = scores[truth == 1], np.sort(scores[truth == 0])
    below = np.searchsorted(negative, positive, side="left")
    not_above = np.searchsorted(negative, positive, side="right")
    return float((below + not_above).sum() / (2 * len(positive) * len(negative)))


def set_metrics(truth: Labels, scores: Floats, threshold: float, split: str) -> SetMetrics:
    """All figures of one set, rounded to four decimals."""
    called = scores >= threshold
    return SetMetrics(
        split=split,
        n=len(truth),
        n_positive=int((truth == 1).sum()),
        auc=round(auc(truth, scores), 4),
        accuracy=round(float((called == truth).mean()), 4),
        sensitivity=round(float(called[truth == 1].mean()), 4),
        specificity=round(float((~called)[truth == 0].mean()), 4),
    )


def parity(truth: Labels, int8: Floats, float32: Floats, threshold: float) -> Parity:
    """int8 against float32 on the same images."""
    difference = np.abs(int8 - float32)
    return Parity(
        n=len(truth),
        max_abs_dp=round(float(difference.max()), 4),
        mean_abs_dp=round(float(difference.mean()), 4),
        label_flips=int(((int8 >= threshold) != (float32 >= threshold)).sum()),
        auc_float32=round(auc(truth, float32), 4),
    )
