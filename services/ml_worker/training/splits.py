"""Splits that never share a group: training without its near-duplicates of the test set, and grouped folds."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.ml_worker.training.data import Sample, labels

Mask = NDArray[np.bool_]
Groups = NDArray[np.int64]


def in_test(samples: Sequence[Sample]) -> Mask:
    """[n]: whether the image's source put it into its test set."""
    return np.array([sample.split == "test" for sample in samples], dtype=np.bool_)


def sharing(groups: Groups, mask: Mask) -> Mask:
    """[n]: whether the image is in one group with any image of `mask`."""
    return np.isin(groups, np.unique(groups[mask]))


def trainable(samples: Sequence[Sample], groups: Groups, *, keep: bool = False) -> Mask:
    """[n]: what may be trained on: nothing of a test set, and of the same source nothing near one.

    A near-duplicate in another source stays: those sets are small, so there `clean_test` drops the test image.
    With `keep` all near-duplicates stay, and all of their test images go.
    """
    test = in_test(samples)
    allowed = ~test
    if keep:
        return allowed
    for source in {sample.source for sample in samples}:
        here = np.array([sample.source == source for sample in samples])
        allowed &= ~(here & sharing(groups, test & here))
    return allowed


def clean_test(samples: Sequence[Sample], groups: Groups, *, keep: bool = False) -> Mask:
    """[n]: test images that share no group with anything trained on."""
    return in_test(samples) & ~sharing(groups, trainable(samples, groups, keep=keep))


def folds(samples: Sequence[Sample], groups: Groups, count: int, seed: int) -> NDArray[np.int64]:
    """[n]: which of `count` folds each image is held out in: whole groups, every source and class dealt evenly.

    Groups are shuffled, then the largest dealt first, each to the fold that has least of its stratum.
    """
    strata = np.array([f"{sample.source}/{sample.label}" for sample in samples])
    order = np.random.default_rng(seed).permutation(np.unique(groups))
    largest_first = sorted(order, key=lambda group: -int((groups == group).sum()))
    load = {stratum: np.zeros(count) for stratum in np.unique(strata)}
    fold = np.zeros(len(samples), dtype=np.int64)
    for group in largest_first:
        members = groups == group
        fold[members] = chosen = int(np.argmin(load[strata[members][0]]))
        for stratum in strata[members]:
            load[stratum][chosen] += 1
    return fold


def weights(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """[n], mean 1: both classes of a source weigh the same, so that neither prior nor source is worth learning."""
    truth = labels(samples)
    sources = np.array([sample.source for sample in samples])
    found = np.ones(len(samples), dtype=np.float64)
    for source in np.unique(sources):
        here = sources == source
        for label in (0, 1):
            cell = here & (truth == label)
            found[cell] = here.sum() / (2 * max(1, cell.sum()))
    return np.array(found / found.mean(), dtype=np.float32)


def source_weights(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """[n], mean 1: every source weighs the same, however many images it has."""
    sources, places, sizes = np.unique(
        [sample.source for sample in samples], return_inverse=True, return_counts=True
    )
    weight = np.array(len(samples) / (len(sources) * sizes), dtype=np.float32)
    return weight[places]
