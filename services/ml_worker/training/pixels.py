"""Image files to arrays, once: decoded and letter-boxed by the worker's own code, kept as 8-bit grey.

Grey, because MRI is grey and a tint tells the source of an image and not the lesion in it; the network turns
its input grey as well (`network.py`).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.ml_worker.image import PREVIEW_SIDE, preprocess
from services.ml_worker.training.data import Sample
from shared.errors import ImageError
from shared.image.decode import decode

MAX_PIXELS = 30_000_000

Grey = NDArray[np.uint8]

log = logging.getLogger("training")


@dataclass(frozen=True)
class Decoded:
    """The readable images of a set, and what could not be read."""

    samples: tuple[Sample, ...]
    #: [n, 224, 224]
    pixels: Grey
    #: `path: why`, one for each file that was skipped.
    refused: tuple[str, ...]


def load(samples: Sequence[Sample]) -> Decoded:
    """Decode every sample; a file that cannot be read is named in the log and in `refused`, and left out."""
    kept, pixels, refused = [], [], []
    for sample in samples:
        try:
            pixels.append(grey(sample.path))
            kept.append(sample)
        except (ImageError, OSError) as error:
            refused.append(f"{sample.path.name}: {error}")
            log.warning("skipped %s", refused[-1])
    if not kept:
        raise ValueError("none of the images can be read")
    return Decoded(tuple(kept), np.stack(pixels), tuple(refused))


def grey(file: Path) -> Grey:
    """[224, 224]: one image as the network sees it, in 8 bits."""
    decoded = decode(_png_or_jpeg(file.read_bytes()), max_pixels=MAX_PIXELS, least_side=PREVIEW_SIDE)
    values = (preprocess(decoded.pixels)[0] * 255).round().astype(np.uint8)
    return np.asarray(Image.fromarray(values).convert("L"))


def _png_or_jpeg(data: bytes) -> bytes:
    """Collections hold BMP files under the name .jpg; the worker takes none, training turns them into PNG."""
    if not data.startswith(b"BM"):
        return data
    buffer = BytesIO()
    with Image.open(BytesIO(data), formats=("BMP",)) as image:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def as_batch(pixels: Grey) -> NDArray[np.float32]:
    """[n, 224, 224] grey to [n, 224, 224, 3] in [0, 1]: what `preprocess` would have given."""
    return np.repeat(pixels[..., np.newaxis], 3, axis=-1).astype(np.float32) / np.float32(255)
