"""From the sources named on the command line to what is trained on: decoded, grouped, split, counted, said."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.ml_worker.training import data, groups, pixels, splits
from services.ml_worker.training.data import Sample
from services.ml_worker.training.pixels import Grey

log = logging.getLogger("training")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Images:
    """Readable images of all sources, in one order."""

    samples: tuple[Sample, ...]
    #: [n, 224, 224]
    pixels: Grey
    #: [n]: images with the same number never stand on two sides of a split.
    groups: NDArray[np.int64]
    #: `file: why` of everything that was skipped.
    refused: tuple[str, ...]

    def only(self, mask: Mask) -> "Images":
        """The images of `mask`, [n]."""
        chosen = np.flatnonzero(mask)
        samples = tuple(self.samples[index] for index in chosen)
        return Images(samples, self.pixels[chosen], self.groups[chosen], self.refused)

    @property
    def labels(self) -> NDArray[np.int64]:
        """[n], 0 or 1."""
        return data.labels(self.samples)

    @property
    def sources(self) -> NDArray[np.str_]:
        """[n]"""
        return np.array([sample.source for sample in self.samples])


def prepare(paths: Sequence[Path], near: int = groups.NEAR) -> Images:
    """Read every source, group images by patient and by hashes within `near` bits, and say what there is."""
    samples = [sample for path in paths for sample in data.read_source(path)]
    log.info("%d images:\n%s", len(samples), data.counts(samples))
    decoded = pixels.load(samples)
    found = groups.groups(decoded.samples, groups.dhash(decoded.pixels), near)
    images = Images(decoded.samples, decoded.pixels, found, decoded.refused)
    _say(images)
    return images


def _say(images: Images) -> None:
    patients = any(sample.group for sample in images.samples)
    test = splits.in_test(images.samples)
    clean = splits.clean_test(images.samples, images.groups, keep=True)
    near_test = ~splits.trainable(images.samples, images.groups) & ~test
    log.info("%d skipped as unreadable", len(images.refused))
    log.info("%d groups by %s", len(np.unique(images.groups)), "patient" if patients else "near-duplicate")
    log.info("%d images outside the test split, %d of them near one in it", (~test).sum(), near_test.sum())
    log.info("%d test images, %d of them near none outside it", test.sum(), clean.sum())
