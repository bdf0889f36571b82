import io
from typing import Any, cast

import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from services.gemini_worker.image import MEDIA_TYPE, encode_bare
from shared.image.decode import decode

ORIENTATION = 0x0112
ROTATE_90 = 6


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    picture.save(target, kind, **options)
    return target.getvalue()


def prepare_image(data: bytes, max_side_px: int = 64, max_pixels: int = 10**6) -> bytes:
    """The way an upload takes in this worker."""
    pixels = decode(data, max_pixels=max_pixels, least_side=max_side_px).pixels
    return encode_bare(pixels, max_side_px=max_side_px)


def prepared(data: bytes, *, max_side_px: int = 1024, max_pixels: int = 10**7) -> Image.Image:
    picture = Image.open(io.BytesIO(prepare_image(data, max_side_px, max_pixels)))
    picture.load()
    assert picture.format == "PNG"
    return picture


def corner_marked(mode: str = "L") -> Image.Image:
    """40 x 20, dark, with its upper left quarter bright."""
    picture = Image.new("L", (40, 20), 10)
    ImageDraw.Draw(picture).rectangle((0, 0, 19, 9), fill=240)
    return picture.convert(mode)


def grey(picture: Image.Image, at: tuple[int, int]) -> int:
    return cast(int, picture.convert("L").getpixel(at))


def test_the_media_type_is_what_is_made() -> None:
    assert MEDIA_TYPE == "image/png"


@pytest.mark.parametrize(
    ("mode", "kind", "expected"),
    [
        ("1", "PNG", "L"),
        ("L", "PNG", "L"),
        ("L", "JPEG", "L"),
        ("P", "PNG", "RGB"),
        ("LA", "PNG", "L"),
        ("RGB", "PNG", "RGB"),
        ("RGB", "JPEG", "RGB"),
        ("RGBA", "PNG", "RGB"),
        ("CMYK", "JPEG", "RGB"),
    ],
)
def test_every_kind_of_picture_becomes_grey_or_rgb(mode: str, kind: str, expected: str) -> None:
    picture = prepared(encoded(corner_marked(mode), kind))
    assert (picture.mode, picture.size) == (expected, (40, 20))
    assert grey(picture, (5, 5)) > 200
    assert grey(picture, (35, 15)) < 50


def test_sixteen_bits_are_stretched_not_cut() -> None:
    deep = Image.new("I;16", (4, 4), 1000)
    deep.putpixel((0, 0), 2000)
    deep.putpixel((1, 0), 1500)
    picture = prepared(encoded(deep))
    assert (grey(picture, (0, 0)), grey(picture, (3, 3))) == (255, 0)
    assert grey(picture, (1, 0)) in (127, 128)


def test_sixteen_bits_of_one_grey_are_black() -> None:
    assert prepared(encoded(Image.new("I;16", (4, 4), 1000))).getextrema() == (0, 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_laid_over_black(mode: str) -> None:
    clear = Image.new("RGBA", (4, 4), (255, 255, 255, 0)).convert(mode)
    assert prepared(encoded(clear)).convert("L").getextrema() == (0, 0)


def test_the_orientation_of_exif_is_applied() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = ROTATE_90
    picture = prepared(encoded(corner_marked(), "JPEG", exif=exif))
    assert picture.size == (20, 40)
    assert grey(picture, (15, 5)) > 200
    assert grey(picture, (5, 5)) < 50


def test_exif_that_cannot_be_read_is_ignored() -> None:
    picture = prepared(encoded(corner_marked(), "JPEG", exif=b"Exif\x00\x00garbage all the way"))
    assert picture.size == (40, 20)


@pytest.mark.parametrize(("kind", "size"), [("PNG", (900, 300)), ("JPEG", (900, 300)), ("PNG", (300, 900))])
def test_large_pictures_are_scaled_down_in_proportion(kind: str, size: tuple[int, int]) -> None:
    picture = prepared(encoded(Image.new("L", size, 100), kind), max_side_px=90)
    assert sorted(picture.size) == [30, 90]


def test_small_pictures_are_not_scaled_up() -> None:
    assert prepared(encoded(corner_marked()), max_side_px=1024).size == (40, 20)


def test_nothing_but_pixels_is_kept() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", "Jane Doe")
    dirty = encoded(corner_marked(), pnginfo=text, icc_profile=b"Jane Doe", dpi=(72, 72), exif=b"Jane Doe")
    assert b"Jane Doe" in dirty
    result = prepare_image(dirty)
    assert chunks(result) == {b"IHDR", b"IDAT", b"IEND"}


def chunks(png: bytes) -> set[bytes]:
    """The kinds of chunk in a PNG: 4 bytes of length, 4 of kind, the data, 4 of checksum."""
    kinds, at = set(), 8
    while at < len(png):
        kinds.add(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return kinds
