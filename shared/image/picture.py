"""What every format is decoded to: upright pixels of 8 bits, reduced to what readers need."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from PIL import Image

from shared.errors import ImageError

#: Rows of the result made at once while reducing: what bounds the memory of a conversion.
_BAND_ROWS = 32

Convert = Callable[[Image.Image], Image.Image]


class Limits(NamedTuple):
    """What decoding one file may come to."""

    #: Width x height of one picture.
    max_pixels: int
    #: px; the long side of the result keeps at least this much.
    least_side: int
    #: Pictures, where all of a file's frames are asked for.
    max_frames: int = 1


class DicomFacts(NamedTuple):
    """What a DICOM file says beside its pixels."""

    #: In the DICOM JSON model: `Blob.DICOM_HEADER`.
    header: str
    #: Modality (0008,0060); empty where it does not say.
    modality: str
    #: Why writing may be part of the picture, as one phrase; empty where nothing says so.
    burned_in: str


class DecodedImage(NamedTuple):
    """Upright pixels, and nothing in them but pixels."""

    #: Mode L or RGB, 8 bit. The original size, or reduced to a long side from `least_side` to just under twice that.
    pixels: Image.Image
    #: Of the original, in px, as a viewer shows it: after the EXIF orientation.
    width: int
    height: int
    #: What was done beyond the plain path, one phrase each.
    notes: tuple[str, ...]
    #: Which of several frames this is, from 1; None where there is only one.
    frame: int | None = None
    #: Of a DICOM file, with the first of its pictures.
    dicom: DicomFacts | None = None


def check_size(width: int, height: int, limits: Limits) -> None:
    """ImageError where a picture of this size is not decoded."""
    if width * height > limits.max_pixels:
        raise too_many_pixels(limits.max_pixels)


def too_many_pixels(max_pixels: int) -> ImageError:
    """What is said of a picture that is too large."""
    return ImageError(f"The image has more than {max_pixels:,} pixels.", code="image_too_many_pixels")


def shrink(image: Image.Image, convert: Convert, least_side: int) -> Image.Image:
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
