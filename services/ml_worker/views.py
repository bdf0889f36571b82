"""Test-time views: the same image mirrored and at two scales, averaged (the seed's multi-scale reading).

Costs one inference a view, so four times the model's time; switched on by `MEDISCAN_ML_TTA`.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from services.ml_worker.model import RawOutputs

#: Relative scales beside 1: a little closer, a little further away.
_SCALES = (0.9, 1.1)


def views(pixels: Image.Image) -> Iterator[Image.Image]:
    """The image itself, its mirror image, and the image at two scales, all of the same size."""
    yield pixels
    yield pixels.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for scale in _SCALES:
        yield _scaled(pixels, scale)


def average(outputs: list[RawOutputs]) -> RawOutputs:
    """The mean logits; all else stays that of the first view, the image as it is."""
    logits = np.stack([one.logits for one in outputs]).mean(axis=0).astype(np.float32)
    return replace(outputs[0], logits=logits)


def _scaled(pixels: Image.Image, scale: float) -> Image.Image:
    """Zoomed about the centre; what lies outside the image is black."""
    width, height = pixels.size
    left, top = width * (1 - 1 / scale) / 2, height * (1 - 1 / scale) / 2
    matrix = (1 / scale, 0, left, 0, 1 / scale, top)
    return pixels.transform(pixels.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
