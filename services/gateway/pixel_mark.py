"""Whether a DICOM file has pixels at all, told from its bytes while they go by: it may be cut off between two elements.

Pure. Only the tag of Pixel Data (0x7FE00010) is looked for, wherever it stands: a file without these bytes has no such
element, and one with them is left to whoever decodes it.
"""

import struct

from services.gateway.dicom_elements import BIG_ENDIAN, DEFLATED
from shared.errors import BadUploadError

_GROUP, _ELEMENT = 0x7FE0, 0x0010


class PixelMark:
    """Watches one file. `feed` all of it, then `check`."""

    def __init__(self, transfer_syntax_uid: str) -> None:
        order = ">" if transfer_syntax_uid == BIG_ENDIAN else "<"
        self._mark = struct.pack(f"{order}HH", _GROUP, _ELEMENT)
        self._last = b""
        #: In a deflated file nothing can be told.
        self._is_there = transfer_syntax_uid == DEFLATED

    def feed(self, data: bytes) -> None:
        """The next bytes of the file."""
        if not self._is_there:
            seam = self._last + data[: len(self._mark)]
            self._is_there = self._mark in seam or self._mark in data
            self._last = (self._last + data[-len(self._mark) :])[-len(self._mark) :]

    def check(self) -> None:
        """BadUploadError where all of the file has come, and no pixels."""
        if not self._is_there:
            raise no_pixels()


def no_pixels() -> BadUploadError:
    """What is said of such a file."""
    said = (
        "The DICOM file has no Pixel Data: it is cut off, or keeps its pixels elsewhere or in another form."
    )
    return BadUploadError(said, code="dicom_no_pixels", status=422)
