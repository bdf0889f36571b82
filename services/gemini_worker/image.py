"""From decoded pixels to what may leave the house: pixels, and nothing but pixels.

Between the decoder and the client. No file name, no EXIF, no comment, no colour profile survives, because the
picture that is encoded is a new one that was only ever given pixels.
"""

import io

from PIL import Image

#: What `encode_bare` makes. Lossless: an upload that was a JPEG is not squeezed a second time.
MEDIA_TYPE = "image/png"


def encode_bare(pixels: Image.Image, *, max_side_px: int) -> bytes:
    """A PNG of at most `max_side_px` a side, in the mode of `pixels` (L or RGB)."""
    small = Image.frombytes(pixels.mode, pixels.size, pixels.tobytes())
    small.thumbnail((max_side_px, max_side_px))
    target = io.BytesIO()
    small.save(target, "PNG")
    return target.getvalue()
