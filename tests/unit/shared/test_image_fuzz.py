"""Searches for files that decoding answers with anything but pixels or an ImageError."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import FrameWish
from shared.errors import ImageError
from shared.image.decode import decode
from shared.image.decoder import Decoder
from shared.image.settings import DecodeSettings
from tests.support import bombs, dicom_bombs, dicoms
from tests.support.fuzzing import searching
from tests.support.mutation import mutated
from tests.unit.gateway import images

SOUND = st.sampled_from(
    [images.png(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
    + [
        images.jpeg(mode, progressive=progressive)
        for mode in ("L", "RGB", "CMYK")
        for progressive in (False, True)
    ]
    + [bombs.palette_out_of_range(), bombs.interlaced_16_bit(16), bombs.jpeg_of_scans(3, side=32)]
)
TOKENS = [
    b"\xff\xc0",
    b"\xff\xc2",
    b"\xff\xc4",
    b"\xff\xda",
    b"\xff\xd9",
    b"\xff\xe1",
    b"\xff\xff",
    b"\0\0\0\0",
]
TOKENS += [
    b"IHDR",
    b"PLTE",
    b"tRNS",
    b"IDAT",
    b"IEND",
    b"acTL",
    b"fdAT",
    b"eXIf",
    b"\x7f\xff\xff\xff",
    b"\x80",
]


@searching(300)
@given(mutated(SOUND, TOKENS))
def test_any_file_is_pixels_or_an_image_error(file: bytes) -> None:
    with suppress(ImageError):
        decoded = decode(file, max_pixels=1_000_000, least_side=64)
        assert decoded.pixels.mode in {"L", "RGB"}
        assert max(decoded.pixels.size) < 128 or max(decoded.width, decoded.height) < 128


DICOM = st.sampled_from(
    [
        dicoms.dicom(None, syntax)
        for syntax in (dicoms.IMPLICIT, dicoms.EXPLICIT, dicoms.DEFLATED, dicoms.BIG_ENDIAN, dicoms.RLE)
    ]
    + [
        dicoms.dicom(None, syntax)
        for syntax in (dicoms.JPEG_LOSSLESS, dicoms.JPEG_LS, dicoms.JPEG_2000_LOSSLESS, dicoms.JPEG_EXTENDED)
    ]
    + [dicoms.dicom(dicoms.slope(high=255, kind="uint8"), dicoms.JPEG_BASELINE, bits=8)]
    + [dicoms.enhanced(2), dicoms.report(), dicom_bombs.deep(3)]
)
#: Tags, value representations and lengths that mean much, and photometric interpretations.
DICOM_TOKENS = [b"\x28\0\x10\0", b"\x28\0\x08\0", b"\xe0\x7f\x10\0", b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"]
DICOM_TOKENS += [b"SQ\0\0\xff\xff\xff\xff", b"UN\0\0\xff\xff\xff\xff", b"OW\0\0\xf0\xff\xff\x7f", b"US\x02\0"]
DICOM_TOKENS += [
    b"\xff\xff",
    b"\0\0\0\0",
    b"\x29\0\x01\x10",
    b"PALETTE COLOR ",
    b"YBR_FULL_422",
    b"MONOCHROME1 ",
]
WISHES = st.sampled_from(["middle", "all", 1, 2])


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Decoder(DecodeSettings(decode_cpu_s=5, max_frames=4), max_pixels=1_000_000, least_side=64)
    yield made
    made.close()


@searching(150)
@given(file=mutated(DICOM, DICOM_TOKENS), wish=WISHES)
def test_any_dicom_file_is_pixels_or_an_image_error_and_costs_one_process_at_most(
    decoder: Decoder, file: bytes, wish: FrameWish
) -> None:
    with suppress(ImageError):
        for decoded in decoder.frames(file, wish):
            assert decoded.pixels.mode in {"L", "RGB"}
            assert max(decoded.pixels.size) < 128 or max(decoded.width, decoded.height) < 128
