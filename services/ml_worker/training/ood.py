"""Is this the kind of image the model was trained on? Distance of early, frozen features from the training images.

Early features (block 5 of the ImageNet network: edges, textures, layout) rather than the last ones: fine-tuning
for two classes bends the last ones until most of what tells a head from a donut is gone, and it has seen the
training images, so that distances of new heads are larger. The frozen part has been bent by nothing.
The distance is Mahalanobis' (Lee et al. 2018) on the mean and the spread of each channel.
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


def fit(found: Floats, weights: NDArray[np.float32]) -> Gate:
    """To the statistics [n, d] of training images, weighted."""
    mean = np.average(found, axis=0, weights=weights)
    covariance = np.cov(found, rowvar=False, aweights=weights)
    covariance += np.eye(len(mean)) * (_RIDGE * np.trace(covariance) / len(mean))
    values, vectors = np.linalg.eigh(covariance)
    return Gate(mean.astype(np.float32), (vectors / np.sqrt(values)).astype(np.float32))
