"""The one decode: PNG and JPEG of 8 or 16 bits, grey, colour, palette, alpha or CMYK, to upright L or RGB.

Everything that can be wrong with the pixels of an accepted upload surfaces here as ImageError, and so does
running out of memory over it: a MemoryError that leaves a Celery task can take the whole worker down (celery 5.7
with billiard 4.3).
"""

import math
import struct
import warnings
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise

from PIL import ExifTags, Image, ImageFile, PngImagePlugin

from shared.errors import ImageError

# Compressed text of a stranger: all of a file's together may not unpack to more than one chunk may alone.
PngImagePlugin.MAX_TEXT_MEMORY = PngImagePlugin.MAX_TEXT_CHUNK

OUT_OF_MEMORY = "image_too_large_for_memory"

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
#: Start of scan. Inside a scan's data a byte 0xFF is stuffed, so that this can only be a marker (ITU-T T.81, B.1.1.5).
_JPEG_SCAN = b"\xff\xda"
#: A progressive JPEG has about ten; every one costs a pass over the whole picture however little it holds.
_MAX_SCANS = 200
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

    #: Mode L or RGB, 8 bit. The original size, or reduced to a long side from `least_side` to just under twice that.
    pixels: Image.Image
    #: Of the original, in px, as a viewer shows it: after the EXIF orientation.
    width: int
    height: int
    #: What was done beyond the plain path, one phrase each.
    notes: tuple[str, ...]


def decode(data: bytes, *, max_pixels: int, least_side: int) -> DecodedImage:
    """Decode an image of at most `max_pixels` (width x height), reduced where it is far larger than needed.

    least_side: px; the long side keeps at least this much. JPEG detail that this would throw away is not decoded.
    Whatever is wrong with the file is an ImageError, with code `image_type_unsupported`, `image_unreadable`,
    `image_multiframe`, `image_too_many_pixels`, `image_too_many_scans` or `image_too_large_for_memory`.
    """
    decoder = next((found for signature, found in _FORMATS.items() if data.startswith(signature)), None)
    if decoder is None:
        raise ImageError("Only PNG and JPEG images can be read.", code="image_type_unsupported")
    try:
        with warnings.catch_warnings():
            # Of sizes below twice Pillow's own limit, where ours counts, and of EXIF blocks cut short.
            warnings.simplefilter("ignore")
            return decoder(data, max_pixels, least_side)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(max_pixels) from error
    except MemoryError as error:
        raise ImageError("The image needs more memory than it may have.", code=OUT_OF_MEMORY) from error
    except _BROKEN_FILE as error:
        raise ImageError("The image is damaged or incomplete.", code="image_unreadable") from error


def _png(data: bytes, max_pixels: int, least_side: int) -> DecodedImage:
    with Image.open(BytesIO(data), formats=("PNG",)) as image:
        return _picture(image, max_pixels, least_side)


def _jpeg(data: bytes, max_pixels: int, least_side: int) -> DecodedImage:
    if data.count(_JPEG_SCAN) > _MAX_SCANS:
        raise ImageError(f"The JPEG has more than {_MAX_SCANS} scans.", code="image_too_many_scans")
    with Image.open(BytesIO(data), formats=("JPEG",)) as image:
        return _picture(image, max_pixels, least_side)


#: By its first bytes, whatever a file calls itself. A further format is a function and a line here.
_FORMATS: dict[bytes, Callable[[bytes, int, int], DecodedImage]] = {_PNG: _png, _JPEG: _jpeg}


def _picture(image: ImageFile.ImageFile, max_pixels: int, least_side: int) -> DecodedImage:
    width, height = image.size
    if width * height > max_pixels:
        raise _too_many_pixels(max_pixels)
    if getattr(image, "n_frames", 1) > 1:
        raise ImageError("The image has more than one frame.", code="image_multiframe")
    factor = max(1, max(width, height) // least_side)
    image.draft(None, (math.ceil(width / factor), math.ceil(height / factor)))
    image.load()
    orientation, notes = _orientation(image)
    convert, note = _conversion(image)
    pixels = _shrink(image, convert, least_side)
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
    scale = 255 / max(1, high - low)
    steps = range(high - low + 1)
    # Searched for, because rounding 65536 values one by one takes longer than decoding the image.
    starts = [bisect_left(steps, level, key=lambda step: round(step * scale)) for level in range(256)]
    window = [
        level for level, (first, end) in enumerate(pairwise([*starts, len(steps)])) for _ in range(first, end)
    ]
    table = [0] * low + window + [255] * (65535 - high)
    return lambda part: part.convert("I").point(table, "L")


def _on_black(part: Image.Image, *, gray: bool) -> Image.Image:
    layer = part.convert("RGBA")
    flat = Image.new("RGB", part.size)
    flat.paste(layer, mask=layer)
    return flat.convert("L") if gray else flat


def _shrink(image: Image.Image, convert: Convert, least_side: int) -> Image.Image:
    """Convert, and average blocks of pixels so that the long side is just over `least_side`, a band at a time.

    Beside the decoded image only one band is held in its converted form: 30 megapixels with alpha would
    otherwise cost several times their 120 MB.
    """
    factor = max(1, max(image.size) // least_side)
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
