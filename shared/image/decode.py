"""The one decode: PNG and JPEG of 8 or 16 bits, grey, colour, palette, alpha or CMYK, and DICOM, to upright L or RGB.

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
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING

from PIL import ExifTags, Image, ImageFile, PngImagePlugin

from shared.errors import ImageError
from shared.image.picture import Convert, DecodedImage, Limits, check_size, shrink, too_many_pixels

if TYPE_CHECKING:  # pydantic is nothing for the decoding process, which is to stay small
    from shared.contracts import FrameWish

# Compressed text of a stranger: all of a file's together may not unpack to more than one chunk may alone.
PngImagePlugin.MAX_TEXT_MEMORY = PngImagePlugin.MAX_TEXT_CHUNK

OUT_OF_MEMORY = "image_too_large_for_memory"

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
#: Start of scan. Inside a scan's data a byte 0xFF is stuffed, so that this can only be a marker (ITU-T T.81, B.1.1.5).
_JPEG_SCAN = b"\xff\xda"
#: A progressive JPEG has about ten; every one costs a pass over the whole picture however little it holds.
_MAX_SCANS = 200
#: Where a DICOM file says that it is one: behind a preamble in which anything may stand (PS3.10, 7.1).
_DICOM_AT, _DICOM = 128, b"DICM"

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


def decode(data: bytes, *, max_pixels: int, least_side: int) -> DecodedImage:
    """Decode an image of at most `max_pixels` (width x height), reduced where it is far larger than needed.

    least_side: px; the long side keeps at least this much. JPEG detail that this would throw away is not decoded.
    Of several frames the middle one is decoded. Errors: as of `decode_frames`.
    """
    (picture,) = decode_frames(data, "middle", Limits(max_pixels, least_side))
    return picture


def decode_frames(data: bytes, wish: "FrameWish", limits: Limits) -> Iterator[DecodedImage]:
    """Decode the frames that are wished for, one after the other; an image without frames is one.

    Whatever is wrong with the file is an ImageError, with code `image_type_unsupported`, `image_unreadable`,
    `image_multiframe`, `image_too_many_pixels`, `image_too_many_scans`, `image_too_large_for_memory`, or one of
    `shared.image.dicom.pictures`.
    """
    pictures = _format_of(data)(data, wish, limits)
    while (picture := _next(pictures, limits)) is not None:
        yield picture


def _next(pictures: Iterator[DecodedImage], limits: Limits) -> DecodedImage | None:
    try:
        with warnings.catch_warnings():
            # Of sizes below twice Pillow's own limit, where ours counts, and of EXIF blocks cut short.
            warnings.simplefilter("ignore")
            return next(pictures, None)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise too_many_pixels(limits.max_pixels) from error
    except MemoryError as error:
        raise ImageError("The image needs more memory than it may have.", code=OUT_OF_MEMORY) from error
    except _BROKEN_FILE as error:
        raise ImageError("The image is damaged or incomplete.", code="image_unreadable") from error


def _format_of(data: bytes) -> "Pictures":
    for signature, pictures in _FORMATS.items():
        if data.startswith(signature):
            return pictures
    if data[_DICOM_AT : _DICOM_AT + len(_DICOM)] == _DICOM:
        return _dicom
    raise ImageError("Only PNG, JPEG and DICOM images can be read.", code="image_type_unsupported")


def _png(data: bytes, _: "FrameWish", limits: Limits) -> Iterator[DecodedImage]:
    with Image.open(BytesIO(data), formats=("PNG",)) as image:
        yield _picture(image, limits)


def _jpeg(data: bytes, _: "FrameWish", limits: Limits) -> Iterator[DecodedImage]:
    if data.count(_JPEG_SCAN) > _MAX_SCANS:
        raise ImageError(f"The JPEG has more than {_MAX_SCANS} scans.", code="image_too_many_scans")
    with Image.open(BytesIO(data), formats=("JPEG",)) as image:
        yield _picture(image, limits)


def _dicom(data: bytes, wish: "FrameWish", limits: Limits) -> Iterator[DecodedImage]:
    from shared.image import dicom  # noqa: PLC0415 - see there

    return dicom.pictures(data, wish, limits)


#: Makes the pictures of a file, which need not be sound.
Pictures = Callable[[bytes, "FrameWish", Limits], Iterator[DecodedImage]]

#: By its first bytes, whatever a file calls itself. A further format is a function and a line here.
_FORMATS: dict[bytes, Pictures] = {_PNG: _png, _JPEG: _jpeg}


def _picture(image: ImageFile.ImageFile, limits: Limits) -> DecodedImage:
    width, height = image.size
    check_size(width, height, limits)
    if getattr(image, "n_frames", 1) > 1:
        raise ImageError("The image has more than one frame.", code="image_multiframe")
    factor = max(1, max(width, height) // limits.least_side)
    image.draft(None, (math.ceil(width / factor), math.ceil(height / factor)))
    image.load()
    orientation, notes = _orientation(image)
    convert, note = _conversion(image)
    pixels = shrink(image, convert, limits.least_side)
    if orientation in _TRANSPOSE_OF_ORIENTATION:
        pixels = pixels.transpose(_TRANSPOSE_OF_ORIENTATION[orientation])
    shown = (height, width) if orientation in {5, 6, 7, 8} else (width, height)
    return DecodedImage(pixels, *shown, notes=notes + note)


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
