"""What an upload's first and last bytes say. The gateway never decodes pixels; the ML worker finds out the rest."""

import io
import struct
from dataclasses import dataclass

from PIL import Image, ImageFile, PngImagePlugin

from services.gateway.dicom_elements import is_dicom
from services.gateway.dicom_header import read_dicom_header
from shared.contracts import DicomSource, MediaType
from shared.errors import BadUploadError

# Our own limit on pixels applies, to every size and without warnings.
Image.MAX_IMAGE_PIXELS = None
# Compressed text chunks of a stranger: together they may not unpack to more than one may alone.
PngImagePlugin.MAX_TEXT_MEMORY = PngImagePlugin.MAX_TEXT_CHUNK

#: How many of an image's last bytes `check_end` wants.
TAIL_BYTES = 4096

_MEDIA_TYPES: dict[str, MediaType] = {"PNG": "image/png", "JPEG": "image/jpeg"}
#: The first bytes by which a file is recognised, whatever it calls itself.
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
#: JPEG: what every marker begins with, and those that no length follows (ITU-T T.81, B.1.1.3): TEM, RSTn, SOI, EOI.
_MARKER = 0xFF
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xDA)})
#: How a whole file ends: the IEND chunk with its checksum; the EOI marker. Bytes after it are tolerated.
#: That of a DICOM file is no mark: its pixels are counted where they are decoded.
_ENDS: dict[MediaType, bytes] = {"image/png": b"\0\0\0\0IEND\xaeB`\x82", "image/jpeg": b"\xff\xd9"}
#: Chunks of a PNG, or segments and stray bytes of a JPEG, that may stand before the pixels. Pillow takes each in
#: Python, and a mebibyte of empty ones would stop the event loop for a third of a second.
_MAX_PIECES = 1024


@dataclass(frozen=True)
class ImageHeader:
    """What the header promises; sides in pixels."""

    media_type: MediaType
    width: int
    height: int
    dicom: DicomSource | None = None


def read_header(head: bytes, max_pixels: int) -> ImageHeader:
    """Read the header of a PNG, JPEG or DICOM file from its first bytes; BadUploadError says what is wrong with it."""
    if not head:
        raise BadUploadError("The `image` part is empty.", code="empty_image")
    if not head.startswith(_SIGNATURES):
        return _dicom(head, max_pixels)
    _check_pieces(head)
    with _opened(head) as image:
        return _checked(image, max_pixels)


def check_end(media_type: MediaType, tail: bytes) -> None:
    """BadUploadError unless the file's last `TAIL_BYTES` hold its end mark: it was cut off on its way to us."""
    if _ENDS.get(media_type, b"") not in tail:
        raise BadUploadError(
            "The image file is cut off: its end is missing.", code="image_truncated", status=422
        )


def _dicom(head: bytes, max_pixels: int) -> ImageHeader:
    if not is_dicom(head):
        raise _unsupported("The image is neither PNG nor JPEG nor DICOM.")
    header = read_dicom_header(head)
    _check_size(header.width, header.height, max_pixels)
    return ImageHeader("application/dicom", header.width, header.height, header.source)


def _check_pieces(head: bytes) -> None:
    after, at = (_after_chunk, 8) if head.startswith(_SIGNATURES[0]) else (_after_segment, 2)
    for _ in range(_MAX_PIECES):
        end = after(head, at)
        if end is None:
            return
        at = end
    raise _damaged("The image's header is in too many pieces.")


def _after_chunk(head: bytes, at: int) -> int | None:
    """Where the PNG chunk at `at` ends; None where pixels begin or `head` ends."""
    if head[at + 4 : at + 8] == b"IDAT" or at + 8 > len(head):
        return None
    return at + 12 + int(struct.unpack_from(">I", head, at)[0])


def _after_segment(head: bytes, at: int) -> int | None:
    """Where the JPEG segment, or the stray byte, at `at` ends; None where pixels begin or `head` ends."""
    if head[at : at + 2] == b"\xff\xda" or at + 4 > len(head):
        return None
    if head[at] != _MARKER or head[at + 1] in {0, _MARKER}:
        return at + 1
    if head[at + 1] in _BARE_MARKERS:
        return at + 2
    return at + 2 + int(struct.unpack_from(">H", head, at + 2)[0])


def _opened(head: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(head), formats=tuple(_MEDIA_TYPES))
    except Exception as error:
        # Pillow's parsers raise nearly anything on hostile bytes; all of it means the same here.
        raise _damaged("The image's header is damaged or cut off.") from error


def _checked(image: ImageFile.ImageFile, max_pixels: int) -> ImageHeader:
    if image.get_format_mimetype() == "image/apng":
        raise _unsupported("The PNG is animated; send a single picture.", code="animated_image")
    if image.format not in _MEDIA_TYPES:
        raise _unsupported("The JPEG holds several pictures (MPO); send a single one.", code="animated_image")
    _check_size(image.width, image.height, max_pixels)
    return ImageHeader(_MEDIA_TYPES[image.format], image.width, image.height)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        said = f"The image has {width} x {height} pixels; at most {max_pixels} are read."
        raise BadUploadError(said, code="too_many_pixels", status=422)


def _damaged(detail: str) -> BadUploadError:
    return BadUploadError(detail, code="image_header_damaged", status=422)


def _unsupported(detail: str, code: str = "unsupported_image") -> BadUploadError:
    return BadUploadError(detail, code=code, status=415)
