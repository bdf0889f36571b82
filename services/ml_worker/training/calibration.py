"""Probabilities that mean what they say: temperature and bias, and the threshold for a stated sensitivity."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.ml_worker.training.metrics import Floats, Labels

_STEPS = 50
#: Keeps the fit finite on a set that is separated without error.
_RIDGE = 1e-3


class Scale(NamedTuple):
    """P(positive) = sigmoid(margin / temperature + bias), margin = Positive logit - Negative logit."""

    temperature: float = 1.0
    bias: float = 0.0


def p_positive(logits: NDArray[np.float32], scale: Scale) -> Floats:
    """[n, 2] logits to [n]."""
    return _sigmoid(_margin(logits) / scale.temperature + scale.bias)


def fit(logits: NDArray[np.float32], truth: Labels) -> Scale:
    """The scale with the least log-loss on held-out logits (Platt 1999): temperature scaling with a shift.

    The shift is needed because training weighs both classes alike, whatever their share in images to come.
    By Newton's steps, which converge in a few: the loss is convex in slope and bias.
    """
    design = np.stack([_margin(logits), np.ones(len(truth))], axis=1)
    found = np.zeros(2)  # From nothing, where the loss is bent most and no step overshoots.
    for _ in range(_STEPS):
        p = _sigmoid(design @ found)
        gradient = design.T @ (p - truth) + _RIDGE * (found - (1.0, 0.0))
        curvature = (design * (p * (1 - p))[:, np.newaxis]).T @ design + _RIDGE * np.eye(2)
        found = found - np.linalg.solve(curvature, gradient)
    slope = max(float(found[0]), 1e-2)
    return Scale(1 / slope, float(found[1]))


def _margin(logits: NDArray[np.float32]) -> Floats:
    return np.asarray(np.diff(logits.astype(np.float64), axis=1)[:, 0])


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(values / 2)))


def threshold_for(truth: Labels, scores: Floats, sensitivity: float) -> float:
    """The highest threshold that finds at least this share of the positives."""
    positive = np.sort(scores[truth == 1])[::-1]
    return float(positive[int(np.ceil(sensitivity * len(positive))) - 1])
