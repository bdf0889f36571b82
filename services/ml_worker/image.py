"""From decoded pixels to what the network sees, and to the preview that pictures are drawn over.

The one `preprocess`, training included.
"""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

#: Side of the square that the network takes, in px.
NETWORK_SIDE = 224
#: Decoded images keep at least this much of their long side, in px: enough for the preview and the network.
PREVIEW_SIDE = 512
PREVIEW_QUALITY = 90


def preprocess(pixels: Image.Image) -> NDArray[np.float32]:
    """What the network takes: [1, 224, 224, 3], RGB in [0, 1].

    Letter-boxed on black rather than squeezed: a squeeze changes the shape of head and lesion, and the air
    around a head is black in MRI anyway. Bilinear with Pillow's area support, so no aliasing on the way down.
    """
    square = ImageOps.pad(pixels, (NETWORK_SIDE, NETWORK_SIDE), method=Image.Resampling.BILINEAR, color=0)
    # In one step: a picture of floats in between would cost as much again in fresh memory.
    values: NDArray[np.float32] = np.divide(
        np.asarray(square.convert("RGB")), np.float32(255), dtype=np.float32
    )
    return values[np.newaxis]


def preview(pixels: Image.Image) -> bytes:
    """JPEG, at most 512 px a side, gray where `pixels` is gray, and not a byte of metadata."""
    small = pixels.copy()
    small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    small.info.clear()  # Pillow would carry a JPEG comment over from here.
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=PREVIEW_QUALITY)
    return buffer.getvalue()
