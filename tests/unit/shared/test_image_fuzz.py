"""Searches for files that decoding answers with anything but pixels or an ImageError."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ImageError
from shared.image.decode import decode
from tests.support import bombs
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
