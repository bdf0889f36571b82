"""Confidence intervals by resampling whole groups: slices of one patient are no independent evidence."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Statistic = Callable[[NDArray[np.int64]], float]


def interval(
    statistic: Statistic,
    groups: NDArray[np.int64],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval (Efron 1979) of `statistic`, a function of image indices, over resampled groups.

    Resamples for which the statistic is NaN (a class is missing) are left out; (nan, nan) if all are.
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(0, len(members), len(members)) for _ in range(resamples))
    values = np.array([statistic(np.concatenate([members[at] for at in places])) for places in drawn])
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    tail = 50 * (1 - level)
    low, high = np.percentile(values, (tail, 100 - tail))
    return float(low), float(high)
