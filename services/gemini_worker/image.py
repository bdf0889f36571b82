"""From the stored upload to what may leave the house: pixels, and nothing but pixels.

Between the blob store and the client. No file name, no EXIF, no comment, no colour profile survives,
because the picture that is encoded is a new one that was only ever given pixels.
"""

import io
import struct
import zlib
from typing import cast

from PIL import Image, ImageOps

from shared.errors import ImageError

#: What `prepare_image` makes. Lossless: an upload that was a JPEG is not squeezed a second time.
MEDIA_TYPE = "image/png"

_TRANSPARENT_MODES = frozenset({"RGBA", "LA", "PA", "La", "RGBa"})
_DEEP_MODE = "I"  # 16-bit greys; Pillow opens them as `I` or `I;16`
#: What Pillow raises on broken files; its plugins convert some of these themselves, but not all.
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # an exception where warnings are errors
    MemoryError,  # uncaught, it would take the whole worker down (celery 5.7 + billiard 4.3)
)


def prepare_image(data: bytes, *, max_side_px: int, max_pixels: int) -> bytes:
    """Re-encode an uploaded PNG or JPEG as an 8-bit grey or RGB PNG of at most `max_side_px` a side.

    Turned upright as EXIF says, transparency laid over black, deeper greys stretched to 8 bits. Raises ImageError
    when the upload cannot be decoded or has more than `max_pixels` pixels.
    """
    try:
        return _encoded(_pixels(data, max_side_px, max_pixels))
    except _UNREADABLE as error:
        raise ImageError("The image could not be decoded for the second reading.") from error


def _pixels(data: bytes, max_side_px: int, max_pixels: int) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        if image.width * image.height > max_pixels:
            raise ImageError(f"The image has more than {max_pixels} pixels.")
        # Lets the JPEG decoder skip detail that scaling down would throw away; no effect on PNG.
        image.draft(None, (max_side_px, max_side_px))
        plain = _eight_bit(_upright(image))
        plain.thumbnail((max_side_px, max_side_px))
        return plain


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; an EXIF block that cannot be read is no reason to refuse the pixels."""
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, ValueError, KeyError, TypeError, EOFError, OSError, struct.error):
        return image


def _eight_bit(image: Image.Image) -> Image.Image:
    """`image` as `L` or `RGB`, the two modes that every reader understands."""
    if image.mode.startswith(_DEEP_MODE):
        return _stretched(image)
    if image.mode in _TRANSPARENT_MODES or "transparency" in image.info:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "black"), over).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """Spread the greys in use over 0-255: scanners often use 12 of 16 bits, which a plain shift leaves near black."""
    deep = image.convert("F")
    low, high = cast(tuple[float, float], deep.getextrema())  # one band
    scale = 255 / (high - low) if high > low else 0.0
    offset = -low * scale
    return deep.point(lambda value: value * scale + offset).convert("L")


def _encoded(image: Image.Image) -> bytes:
    bare = Image.frombytes(image.mode, image.size, image.tobytes())
    target = io.BytesIO()
    bare.save(target, "PNG")
    return target.getvalue()
