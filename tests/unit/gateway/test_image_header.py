"""What the first and last bytes of an upload give away."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from services.gateway.image_header import TAIL_BYTES, ImageHeader, check_end, read_header
from shared.errors import BadUploadError
from tests.support import bombs
from tests.unit.gateway import images

MAX_PIXELS = 30_000_000


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_png_mode_is_accepted(mode: str) -> None:
    assert read_header(images.png(mode), MAX_PIXELS) == ImageHeader("image/png", 48, 32)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_every_jpeg_mode_is_accepted(mode: str, progressive: bool) -> None:
    file = images.jpeg(mode, progressive=progressive)
    assert read_header(file, MAX_PIXELS) == ImageHeader("image/jpeg", 48, 32)


def test_the_header_is_enough() -> None:
    assert read_header(images.noise(200_000)[:100], MAX_PIXELS).media_type == "image/png"


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        (b"", 400, "empty_image"),
        (b"%PDF-1.7 a report", 415, "unsupported_image"),
        (images.encode(images.picture(), "GIF"), 415, "unsupported_image"),
        (images.encode(images.picture(), "TIFF"), 415, "unsupported_image"),
        (images.animated_png(), 415, "animated_image"),
        (images.mpo(), 415, "animated_image"),
        (images.bomb(), 422, "too_many_pixels"),
        (images.bomb(2**31 - 1, 2**31 - 1), 422, "too_many_pixels"),
        (images.png()[:20], 422, "image_header_damaged"),
        (images.jpeg()[:20], 422, "image_header_damaged"),
        (images.png()[:16] + b"\xff" * 40, 422, "image_header_damaged"),
        (images.text_bomb(), 422, "image_header_damaged"),
    ],
)
def test_what_is_refused(file: bytes, status: int, code: str) -> None:
    with pytest.raises(BadUploadError) as refused:
        read_header(file, MAX_PIXELS)
    assert (refused.value.status, refused.value.code) == (status, code)


@pytest.mark.parametrize("file", [bombs.png_of_chunks, bombs.jpeg_of_segments, bombs.jpeg_of_strays])
def test_a_header_in_very_many_pieces_is_refused_before_pillow_takes_them_one_by_one(
    file: Callable[[int], bytes],
) -> None:
    assert read_header(file(900), MAX_PIXELS).width == 48
    with pytest.raises(BadUploadError, match="too many pieces") as refused:
        read_header(file(1100), MAX_PIXELS)
    assert refused.value.code == "image_header_damaged"


def test_pixels_are_counted_up_to_the_limit() -> None:
    assert read_header(images.png(), max_pixels=48 * 32).width == 48
    with pytest.raises(BadUploadError, match="48 x 32"):
        read_header(images.png(), max_pixels=48 * 32 - 1)


@pytest.mark.parametrize("length", range(3, 120))
def test_no_prefix_of_a_header_is_an_unexpected_error(length: int) -> None:
    for file in (images.png(), images.jpeg(exif=b"Exif\0\0broken"), images.mpo()):
        with suppress(BadUploadError):
            read_header(file[:length], MAX_PIXELS)


def test_a_whole_file_ends_as_it_should() -> None:
    check_end("image/png", images.png()[-TAIL_BYTES:])
    check_end("image/jpeg", images.jpeg()[-TAIL_BYTES:])
    check_end("image/jpeg", images.jpeg() + b"\0" * 100)


@pytest.mark.parametrize("missing", [1, 2, 8, 12, 100])
def test_a_cut_file_is_noticed(missing: int) -> None:
    for media_type, file in (("image/png", images.png()), ("image/jpeg", images.jpeg())):
        with pytest.raises(BadUploadError, match="cut off"):
            check_end(media_type, file[:-missing])  # type: ignore[arg-type]
