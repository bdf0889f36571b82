"""Is this the kind of image the model was trained on? Distance of early, frozen features from the training images.

Early features (block 5 of the ImageNet network: edges, textures, layout) rather than the last ones: fine-tuning
for two classes bends the last ones until most of what tells a head from a donut is gone, and it has seen the
training images, so that distances of new heads are larger. The frozen part has been bent by nothing.
The distance is Mahalanobis' (Lee et al. 2018) on the mean and the spread of each channel. It is fitted to the images
as they came and, with the same weight, to augmented views of them: fitted to the former alone it took noise of 2 %
of the range for another kind of image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: [n, h, w, c]: maps after the frozen part (`frozen.py`).
Middle = NDArray[np.float16]

#: Share of the mean variance that is added to each, so that no direction without variance rules the distance.
_RIDGE = 0.01


@dataclass(frozen=True)
class Gate:
    """Distance = |(statistics - mean) @ whiten| / sqrt(d): about 1 for an image like those it was fitted to."""

    #: [d]
    mean: NDArray[np.float32]
    #: [d, d]
    whiten: NDArray[np.float32]

    def distance(self, statistics: Floats) -> Floats:
        """[n, d] to [n]."""
        apart = (statistics - self.mean) @ self.whiten
        return np.asarray(np.sqrt((apart**2).mean(axis=1)))


def statistics(middle: Middle) -> Floats:
    """[n, h, w, c] to [n, 2c]: mean and standard deviation of each channel over the image."""
    parts = (middle[start : start + 256].astype(np.float64) for start in range(0, len(middle), 256))
    return np.concatenate([np.concatenate([p.mean((1, 2)), p.std((1, 2))], axis=1) for p in parts])


@dataclass(frozen=True)
class Material:
    """Statistics of training images and of views of them."""

    #: [n, d], and each image's weight.
    plain: Floats
    weights: NDArray[np.float32]
    #: [m, d], and which image each view shows.
    seen: Floats
    owner: NDArray[np.int64]

    def gate(self, chosen: NDArray[np.bool_]) -> Gate:
        """Fitted to the `chosen` images [n] and the views of them, half the weight each."""
        views = chosen[self.owner]
        owners = self.owner[views]
        share = self.weights[owners] / np.bincount(self.owner, minlength=len(chosen))[owners]
        plain = self.weights[chosen]
        weights = np.concatenate([plain / plain.sum(), share / share.sum()])
        return fit(np.concatenate([self.plain[chosen], self.seen[views]]), weights)

    def held_out(self, fold: NDArray[np.int64]) -> Floats:
        """[n]: each image's distance by the gate of the other folds."""
        found = np.zeros(len(fold))
        for number in np.unique(fold):
            found[fold == number] = self.gate(fold != number).distance(self.plain[fold == number])
        return found


def fit(found: Floats, weights: NDArray[np.float32]) -> Gate:
    """To the statistics [n, d] of training images, weighted."""
    mean = np.average(found, axis=0, weights=weights)
    covariance = np.cov(found, rowvar=False, aweights=weights)
    covariance += np.eye(len(mean)) * (_RIDGE * np.trace(covariance) / len(mean))
    values, vectors = np.linalg.eigh(covariance)
    return Gate(mean.astype(np.float32), (vectors / np.sqrt(values)).astype(np.float32))
