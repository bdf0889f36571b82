"""Split-conformal label sets: how improbable a label may be before it is left out of the set.

The least-ambiguous sets of Sadinle, Lei and Wasserman (2019), one quantile for each label: of the images whose
label that is, at most a share `alpha` will lose it from their set, if images to come are like the held-out ones.
"""

import numpy as np

from services.ml_worker.training.metrics import Floats, Labels


def fit(truth: Labels, scores: Floats, alpha: float, readings: int = 1) -> tuple[float, float]:
    """Least P(label) for Negative and Positive to be in the set, from held-out P(positive).

    `readings`: how many scores each image has; that many readings of one image are no further images.
    """
    negative, positive = 1 - scores[truth == 0], scores[truth == 1]
    return _least(negative, alpha, readings), _least(positive, alpha, readings)


def _least(p_true: Floats, alpha: float, readings: int) -> float:
    """The floor(alpha (n + 1))-th smallest of n images: the finite-sample correction; 0 where n is too small for it."""
    rank = int(np.floor(alpha * (len(p_true) // readings + 1))) * readings
    return float(np.sort(p_true)[rank - 1]) if rank else 0.0


def sets(scores: Floats, least: tuple[float, float]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """[n, 2]: whether Negative and Positive are in each image's set."""
    return np.stack([1 - scores >= least[0], scores >= least[1]], axis=1)
