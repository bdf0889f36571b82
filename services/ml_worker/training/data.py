"""Folders of images to arrays: a folder per class, its name the label."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.ml_worker.image import decode, preprocess

#: Class folders of the sets we train and judge on; Positive is any tumour that can be seen.
CLASSES = {"notumor": 0, "no": 0, "glioma": 1, "meningioma": 1, "pituitary": 1, "yes": 1}
_SUFFIXES = {".jpg", ".jpeg", ".png"}
_MAX_PIXELS = 30_000_000


@dataclass(frozen=True)
class Sample:
    """One image file and its label."""

    path: Path
    #: 0 Negative, 1 Positive.
    label: int


def list_samples(folder: Path) -> list[Sample]:
    """Every image directly in a class folder of `folder`, in a fixed order; ValueError when there is none."""
    samples = [
        Sample(path, CLASSES[path.parent.name])
        for path in sorted(folder.glob("*/*"))
        if path.parent.name in CLASSES and path.suffix.lower() in _SUFFIXES
    ]
    if not samples:
        raise ValueError(f"{folder} holds no class folder with images (known: {', '.join(CLASSES)})")
    return samples


def labels(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """[n], 0 or 1."""
    return np.array([sample.label for sample in samples], dtype=np.int64)


def load_images(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """[n, 224, 224, 3] in [0, 1], through the worker's own decode and preprocess."""
    decoded = (decode(sample.path.read_bytes(), max_pixels=_MAX_PIXELS) for sample in samples)
    return np.concatenate([preprocess(image.pixels) for image in decoded])


def batches(samples: Sequence[Sample], size: int = 64) -> Iterator[NDArray[np.float32]]:
    """The images of `samples` in order, `size` at a time."""
    for start in range(0, len(samples), size):
        yield load_images(samples[start : start + size])


def split(samples: Sequence[Sample], share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Set `share` of each class aside at random: (rest, set aside).

    By image, since these sets name no patients: near-duplicates may stand on both sides, so the part set
    aside decides when to stop and how to quantise, and is not evidence of quality.
    """
    order = np.random.default_rng(seed).permutation(len(samples))
    shuffled = [samples[i] for i in order]
    aside = [s for label in (0, 1) for s in _first(shuffled, label, share)]
    taken = {s.path for s in aside}
    return [s for s in shuffled if s.path not in taken], aside


def _first(samples: Sequence[Sample], label: int, share: float) -> list[Sample]:
    of_class = [sample for sample in samples if sample.label == label]
    return of_class[: round(share * len(of_class))]
