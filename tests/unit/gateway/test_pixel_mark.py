"""Pixels are seen in whatever pieces a file comes, and not seen where there are none."""

import pytest

from services.gateway.pixel_mark import PixelMark
from shared.errors import BadUploadError
from tests.support import dicoms

SYNTAXES = (dicoms.EXPLICIT, dicoms.BIG_ENDIAN, dicoms.JPEG_LS)


def watched(file: bytes, syntax: str, size: int) -> PixelMark:
    mark = PixelMark(syntax)
    for at in range(0, len(file), size):
        mark.feed(file[at : at + size])
    return mark


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 1 << 20])
def test_pixels_are_seen_in_any_pieces(syntax: str, size: int) -> None:
    file = dicoms.dicom(syntax=syntax)
    watched(file, syntax, size).check()
    at = dicoms.pixels_at(file, syntax)
    for cut in (at, at + 3):
        with pytest.raises(BadUploadError, match="no Pixel Data"):
            watched(file[:cut], syntax, size).check()


def test_every_place_of_a_seam_is_seen() -> None:
    file = dicoms.dicom()
    at = dicoms.pixels_at(file)
    for seam in range(at - 5, at + 9):
        mark = PixelMark(dicoms.EXPLICIT)
        mark.feed(file[:seam])
        mark.feed(file[seam:])
        mark.check()


def test_nothing_is_said_of_a_deflated_file() -> None:
    watched(b"", dicoms.DEFLATED, 1).check()
