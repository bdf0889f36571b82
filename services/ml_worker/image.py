"""From uploaded bytes to what the network sees: the one decode and the one `preprocess`, training included.

Second step of the ML worker, after the blob is fetched. Everything that can be wrong with the pixels of an
accepted upload surfaces here as ImageError, and so does running out of memory over it: a MemoryError that
leaves a Celery task can take the whole worker down (celery 5.7 with billiard 4.3).
"""

import math
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from shared.errors import ImageError

#: Side of the square that the network takes, in px.
NETWORK_SIDE = 224
#: Decoded images keep at least this much of their long side, in px: enough for the preview and the network.
PREVIEW_SIDE = 512
PREVIEW_QUALITY = 90

_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
#: Rows of the result made at once while reducing: what bounds the memory of a conversion.
_BAND_ROWS = 32

_TRANSPOSE_OF_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: What Pillow stumbles over in broken files. Not Exception: Celery's soft time limit arrives as one, and being
#: slow is no fault of the file.
_BROKEN_FILE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

Convert = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class DecodedImage:
    """Upright pixels, without any metadata."""

    #: Mode L or RGB, 8 bit. The original size, or reduced to a long side of 512 to 1023 px.
    pixels: Image.Image
    #: Of the original, in px, as a viewer shows it: after the EXIF orientation.
    width: int
    height: int
    #: What was done beyond the plain path, one phrase each.
    notes: tuple[str, ...]


def decode(data: bytes, *, max_pixels: int) -> DecodedImage:
    """Decode a PNG or JPEG of at most `max_pixels` (width x height).

    Whatever is wrong with the file is an ImageError, with code `image_type_unsupported`, `image_unreadable`,
    `image_multiframe`, `image_too_many_pixels` or `image_too_large_for_memory`.
    """
    if not data.startswith(_SIGNATURES):
        raise ImageError("Only PNG and JPEG images can be read.", code="image_type_unsupported")
    try:
        with warnings.catch_warnings():
            # Of sizes below twice Pillow's own limit, where ours counts, and of EXIF blocks cut short.
            warnings.simplefilter("ignore")
            return _decode(data, max_pixels)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(max_pixels) from error
    except MemoryError as error:
        raise ImageError(
            "The image needs more memory than there is.", code="image_too_large_for_memory"
        ) from error
    except _BROKEN_FILE as error:
        raise ImageError("The image is damaged or incomplete.", code="image_unreadable") from error


def _decode(data: bytes, max_pixels: int) -> DecodedImage:
    with Image.open(BytesIO(data), formats=("PNG", "JPEG")) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise _too_many_pixels(max_pixels)
        if getattr(image, "n_frames", 1) > 1:
            raise ImageError("The image has more than one frame.", code="image_multiframe")
        factor = max(1, max(width, height) // PREVIEW_SIDE)
        image.draft(None, (math.ceil(width / factor), math.ceil(height / factor)))
        image.load()
        orientation, notes = _orientation(image)
        convert, note = _conversion(image)
        pixels = _shrink(image, convert)
    if orientation in _TRANSPOSE_OF_ORIENTATION:
        pixels = pixels.transpose(_TRANSPOSE_OF_ORIENTATION[orientation])
    shown = (height, width) if orientation in {5, 6, 7, 8} else (width, height)
    return DecodedImage(pixels, *shown, notes=notes + note)


def _too_many_pixels(max_pixels: int) -> ImageError:
    return ImageError(f"The image has more than {max_pixels:,} pixels.", code="image_too_many_pixels")


def _orientation(image: Image.Image) -> tuple[int, tuple[str, ...]]:
    """EXIF orientation (1 to 8; 1 is upright) and a note about what it led to."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _BROKEN_FILE:  # No reason to refuse sound pixels.
        return 1, ("unreadable EXIF orientation ignored",)
    if orientation in _TRANSPOSE_OF_ORIENTATION:
        return orientation, ("turned upright by its EXIF orientation",)
    return 1, ()


def _conversion(image: Image.Image) -> tuple[Convert, tuple[str, ...]]:
    """How to bring (parts of) a loaded image to mode L or RGB, and a note where that changes values."""
    if image.mode.startswith("I"):
        return _window_16_bit(image), ("16-bit rescaled to 8",)
    if image.has_transparency_data:
        gray = image.mode in {"L", "LA"}
        return (lambda part: _on_black(part, gray=gray)), ("transparency flattened on black",)
    if image.mode in {"L", "1"}:
        return (lambda part: part.convert("L")), ()
    note = ("CMYK converted to RGB",) if image.mode == "CMYK" else ()
    return (lambda part: part.convert("RGB")), note


def _window_16_bit(image: Image.Image) -> Convert:
    """Darkest value of the image to 0, brightest to 255: scanners rarely use all 16 bits."""
    low, high = (int(value) for value in image.getextrema())  # type: ignore[arg-type]
    table = np.rint((np.arange(65536) - low) * (255 / max(1, high - low))).clip(0, 255).astype(np.uint8)
    return lambda part: Image.fromarray(table[np.asarray(part)])


def _on_black(part: Image.Image, *, gray: bool) -> Image.Image:
    layer = part.convert("RGBA")
    flat = Image.new("RGB", part.size)
    flat.paste(layer, mask=layer)
    return flat.convert("L") if gray else flat


def _shrink(image: Image.Image, convert: Convert) -> Image.Image:
    """Convert, and average blocks of pixels so that the long side is 512 to 1023 px, a band at a time.

    Beside the decoded image only one band is held in its converted form: 30 megapixels with alpha would
    otherwise cost several times their 120 MB.
    """
    factor = max(1, max(image.size) // PREVIEW_SIDE)
    if factor == 1:
        return convert(image)
    bands = [convert(band).reduce(factor) for band in _bands(image, factor * _BAND_ROWS)]
    pixels = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    for index, band in enumerate(bands):
        pixels.paste(band, (0, index * _BAND_ROWS))
    return pixels


def _bands(image: Image.Image, rows: int) -> Iterator[Image.Image]:
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def preprocess(pixels: Image.Image) -> NDArray[np.float32]:
    """What the network takes: [1, 224, 224, 3], RGB in [0, 1].

    Letter-boxed on black rather than squeezed: a squeeze changes the shape of head and lesion, and the air
    around a head is black in MRI anyway. Bilinear with Pillow's area support, so no aliasing on the way down.
    """
    square = ImageOps.pad(pixels, (NETWORK_SIDE, NETWORK_SIDE), method=Image.Resampling.BILINEAR, color=0)
    values = np.asarray(square.convert("RGB"), dtype=np.float32)
    return values[np.newaxis] / np.float32(255)


def preview(pixels: Image.Image) -> bytes:
    """JPEG, at most 512 px a side, gray where `pixels` is gray, and not a byte of metadata."""
    small = pixels.copy()
    small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    small.info.clear()  # Pillow would carry a JPEG comment over from here.
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=PREVIEW_QUALITY)
    return buffer.getvalue()
