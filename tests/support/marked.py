"""Images that carry a patient's name in every place a file has for text."""

import io
import struct
import zlib

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom import Dataset
from pydicom.tag import Tag

from tests.support import dicoms
from tests.support.images import scan

#: Nobody's, and in no library's text.
NAME = "Zyxwrota^Iphigenia"

_IMAGE_DESCRIPTION, _ARTIST, _USER_COMMENT = 0x010E, 0x013B, 0x9286


def spellings() -> set[bytes]:
    """The bytes that would give the name away, in lower case."""
    family, given = NAME.lower().split("^")
    return {part.encode(code) for part in (family, given) for code in ("utf-8", "utf-16-le", "utf-16-be")}


def gives_away(data: bytes) -> bool:
    """Whether any spelling of the name is in these bytes, whatever its case."""
    lower = data.lower()
    return any(spelling in lower for spelling in spellings())


def marked_png() -> bytes:
    """tEXt, zTXt, iTXt, XMP and EXIF."""
    text = PngInfo()
    text.add_text("Author", NAME)
    text.add_text("Comment", NAME * 20, zip=True)
    text.add_itxt("Title", NAME, lang="en", tkey=NAME)
    text.add_itxt("XML:com.adobe.xmp", _xmp())
    out = io.BytesIO()
    _picture().save(out, "PNG", pnginfo=text, exif=_exif())
    return out.getvalue()


def marked_dicom() -> bytes:
    """In public and private attributes, inside a sequence, in the preamble, and behind the pixels."""
    inner = Dataset()
    inner.PatientName = inner.StudyDescription = NAME
    made = dicoms.dataset(
        dicoms.slope(), ReferencedImageSequence=[inner], DataSetTrailingPadding=NAME.encode()
    )
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientComments",
        "ReferringPhysicianName",
        "StudyDescription",
    ):
        setattr(made, keyword, NAME)
    made.add_new(Tag(0x0009, 0x0010), "LO", NAME)
    made.add_new(Tag(0x0009, 0x1001), "UN", NAME.encode("utf-16-le"))
    made.preamble = NAME.encode().ljust(128, b"\0")
    return dicoms.written(made)


def marked_dicom_that_is_broken() -> bytes:
    """The same, with fewer pixels than it says."""
    made = dicoms.read(marked_dicom())
    made.Rows += 1
    return dicoms.written(made)


def marked_jpeg() -> bytes:
    """EXIF, XMP, a comment, and bytes behind the end."""
    out = io.BytesIO()
    _picture().convert("RGB").save(
        out, "JPEG", exif=_exif(), comment=NAME.encode(), xmp=_xmp().encode(), quality=92
    )
    return out.getvalue() + NAME.encode()


def marked_and_broken() -> bytes:
    """A PNG that cannot be decoded: what is said about it must not quote it."""
    good = marked_png()
    at = good.index(b"IDAT")
    (length,) = struct.unpack(">I", good[at - 4 : at])
    body = NAME.encode().ljust(length, b"\0")
    checksum = struct.pack(">I", zlib.crc32(b"IDAT" + body))
    return good[: at + 4] + body + checksum + good[at + 8 + length :]


def _picture() -> Image.Image:
    return Image.open(io.BytesIO(scan()))


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[_IMAGE_DESCRIPTION] = NAME
    exif[_ARTIST] = NAME
    exif[_USER_COMMENT] = b"ASCII\0\0\0" + NAME.encode()
    return exif


def _xmp() -> str:
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>{NAME}</dc:creator></x:xmpmeta>'
