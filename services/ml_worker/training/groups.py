"""Who belongs together: near-duplicate images, found by perceptual hash, and the groups that splits respect.

The hash is dHash (N. Krawetz, "Kind of Like That", 2013) at 16 x 16: whether each of 256 places is brighter
than its left neighbour. On pairs from Testing/ and Training/ of the brain set, looked at one by one, a distance
up to 24 bits was the same slice (other contrast, size or JPEG) or its neighbour; from 25 on most pairs were
other heads in the same pose; at 32 chains of them merge hundreds of images into one cluster.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.ml_worker.training.data import Sample
from services.ml_worker.training.pixels import Grey

HASH_SIDE = 16
#: Bits of 256 up to which two images count as near-duplicates.
NEAR = 24
#: Bits up to which two images are copies of one: scaled or compressed anew.
COPY = 4

Hashes = NDArray[np.bool_]


def dhash(pixels: Grey) -> Hashes:
    """[n, h, w] grey to [n, 256]."""
    size = (HASH_SIDE + 1, HASH_SIDE)
    small = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX)) for image in pixels]
    return np.stack([image[:, 1:] > image[:, :-1] for image in small]).reshape(len(pixels), -1)


def distances(some: Hashes, others: Hashes) -> NDArray[np.int16]:
    """[n, m]: in how many bits each pair differs."""
    one, other = some.astype(np.float32), others.astype(np.float32)
    return (one @ (1 - other).T + (1 - one) @ other.T).astype(np.int16)


def groups(samples: Sequence[Sample], hashes: Hashes, near: int = NEAR) -> NDArray[np.int64]:
    """[n]: the number of each image's group; images share one by patient, by nearness, or by a chain of both."""
    parents = np.arange(len(samples))
    for first, second in _links(samples, hashes, near):
        parents[_root(parents, first)] = _root(parents, second)
    return np.array([_root(parents, index) for index in range(len(samples))], dtype=np.int64)


def _links(samples: Sequence[Sample], hashes: Hashes, near: int) -> list[tuple[int, int]]:
    rows, columns = np.nonzero(np.triu(distances(hashes, hashes) <= near, 1))
    first: dict[str, int] = {}
    patients = [(first.setdefault(sample.group, i), i) for i, sample in enumerate(samples) if sample.group]
    return [*zip(rows.tolist(), columns.tolist(), strict=True), *patients]


def _root(parents: NDArray[np.int64], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = int(parents[index])
    return index
