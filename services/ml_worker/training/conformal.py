"""Split-conformal label sets: how improbable a label may be before it is left out of the set.

The least-ambiguous sets of Sadinle, Lei and Wasserman (2019), one quantile for each label: of the images whose
label that is, at most a share `alpha` will lose it from their set, if images to come are like the held-out ones.
"""

import numpy as np

from services.ml_worker.training.metrics import Floats, Labels


def fit(truth: Labels, scores: Floats, alpha: float) -> tuple[float, float]:
    """Least P(label) for Negative and Positive to be in the set, from held-out P(positive)."""
    negative, positive = 1 - scores[truth == 0], scores[truth == 1]
    return _least(negative, alpha), _least(positive, alpha)


def _least(p_true: Floats, alpha: float) -> float:
    """The floor(alpha (n + 1))-th smallest: the finite-sample correction; 0 where n is too small to leave any out."""
    rank = int(np.floor(alpha * (len(p_true) + 1)))
    return float(np.sort(p_true)[rank - 1]) if rank else 0.0


def sets(scores: Floats, least: tuple[float, float]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """[n, 2]: whether Negative and Positive are in each image's set."""
    return np.stack([1 - scores >= least[0], scores >= least[1]], axis=1)
