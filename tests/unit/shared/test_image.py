"""Every kind of pixels an upload may hold, and every way in which it may be broken."""

import warnings
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from shared.errors import ImageError
from shared.image.decode import decode
from shared.image.picture import DecodedImage
from tests.support import bombs

LIMIT = 30_000_000
SIDE = 512


def head(width: int = 96, height: int = 64) -> Image.Image:
    """A gray disc on black with a mark in its upper left: enough to see turns and squeezes."""
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.2, height * 0.1, width * 0.8, height * 0.9), fill=120)
    draw.rectangle((0, 0, width // 4, height // 4), fill=250)
    return image


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(data: bytes, max_pixels: int = LIMIT) -> DecodedImage:
    return decode(data, max_pixels=max_pixels, least_side=SIDE)


def refused(data: bytes, max_pixels: int = LIMIT) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, max_pixels=max_pixels, least_side=SIDE)
    return caught.value


def values(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


@pytest.mark.parametrize(("mode", "expected"), [("L", "L"), ("RGB", "RGB"), ("1", "L"), ("P", "RGB")])
def test_plain_modes_keep_their_values(mode: str, expected: str) -> None:
    image = head().convert(mode)
    decoded = read(encoded(image))
    assert (decoded.pixels.mode, decoded.width, decoded.height, decoded.notes) == (expected, 96, 64, ())
    assert np.array_equal(values(decoded.pixels), values(image.convert(expected)))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_is_read(mode: str) -> None:
    decoded = read(encoded(head().convert(mode), "JPEG", quality=95))
    assert decoded.pixels.mode == mode
    assert np.abs(values(decoded.pixels.convert("L")) - values(head())).mean() < 3


def test_16_bit_gray_is_stretched_over_8() -> None:
    ramp = np.linspace(1000, 5000, 64 * 32).reshape(32, 64).astype(np.uint16)
    decoded = read(encoded(Image.fromarray(ramp)))
    assert decoded.notes == ("16-bit rescaled to 8",)
    assert decoded.pixels.mode == "L"
    expected = np.rint((ramp.astype(float) - 1000) * 255 / 4000)
    assert np.array_equal(values(decoded.pixels), expected)


def test_16_bit_of_one_value_is_black() -> None:
    decoded = read(encoded(Image.fromarray(np.full((8, 8), 40_000, np.uint16))))
    assert decoded.pixels.getextrema() == (0, 0)


def test_cmyk_jpeg_is_converted() -> None:
    decoded = read(encoded(head().convert("CMYK"), "JPEG", quality=95))
    assert (decoded.pixels.mode, decoded.notes) == ("RGB", ("CMYK converted to RGB",))
    assert np.abs(values(decoded.pixels.convert("L")) - values(head())).mean() < 3


@pytest.mark.parametrize(("mode", "expected"), [("RGBA", "RGB"), ("LA", "L")])
def test_alpha_is_flattened_on_black(mode: str, expected: str) -> None:
    image = Image.new("L", (8, 4), 200).convert(mode)
    image.putalpha(Image.linear_gradient("L").resize((8, 4)))
    decoded = read(encoded(image))
    assert (decoded.pixels.mode, decoded.notes) == (expected, ("transparency flattened on black",))
    alpha = values(image.getchannel("A"))
    assert np.abs(values(decoded.pixels.convert("L")) - 200 * alpha / 255).max() <= 1


def test_transparent_palette_entry_is_black() -> None:
    image = Image.new("P", (8, 4), 1)
    image.putpalette([255, 255, 255, 10, 20, 30])
    image.paste(0, (0, 0, 4, 4))
    decoded = read(encoded(image, transparency=0))
    assert decoded.pixels.getpixel((0, 0)) == (0, 0, 0)
    assert decoded.pixels.getpixel((7, 0)) == (10, 20, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = head()
    decoded = read(encoded(image, exif=exif))
    column, row = {
        1: (0, 0), 2: (-1, 0), 3: (-1, -1), 4: (0, -1), 5: (0, 0), 6: (-1, 0), 7: (-1, -1), 8: (0, -1)
    }[orientation]  # fmt: skip  # one line reads as the table it is
    assert values(decoded.pixels)[row, column] == 250
    assert (decoded.width, decoded.height) == decoded.pixels.size
    assert ((decoded.width, decoded.height) == (64, 96)) == (orientation >= 5)
    assert bool(decoded.notes) == (orientation != 1)


@pytest.mark.parametrize(
    ("kind", "exif", "notes"),
    [
        ("JPEG", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", ()),
        ("PNG", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", ()),
        ("PNG", b"Exif\x00\x00garbage", ("unreadable EXIF orientation ignored",)),
    ],
)
def test_broken_exif_does_not_refuse_sound_pixels(kind: str, exif: bytes, notes: tuple[str, ...]) -> None:
    decoded = read(encoded(head(), kind, exif=exif))
    assert (decoded.pixels.size, decoded.notes) == ((96, 64), notes)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(("width", "height"), [(2100, 1300), (1024, 3000), (5000, 40)])
def test_large_images_are_reduced_in_shape(kind: str, width: int, height: int) -> None:
    decoded = read(encoded(head(width, height).convert("RGB"), kind))
    assert (decoded.width, decoded.height) == (width, height)
    assert 512 <= max(decoded.pixels.size) < 1024
    short = min(width, height) * max(decoded.pixels.size) / max(width, height)
    assert min(decoded.pixels.size) == pytest.approx(short, abs=1)  # the last block may be a partial one


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_reducing_in_bands_equals_reducing_at_once(mode: str) -> None:
    image = head(1600, 1111).convert(mode)
    at_once = image.convert("RGB").reduce(3)
    decoded = read(encoded(image))
    assert decoded.pixels.size == at_once.size
    assert np.abs(values(decoded.pixels.convert("RGB")) - values(at_once)).max() <= 1


def test_16_bit_window_is_that_of_the_whole_image() -> None:
    ramp = np.broadcast_to(np.linspace(0, 60_000, 1200).astype(np.uint16)[:, None], (1200, 700))
    decoded = read(encoded(Image.fromarray(np.ascontiguousarray(ramp))))
    column = values(decoded.pixels)[:, 0]
    assert column[0] <= 1
    assert column[-1] >= 254
    assert (np.diff(column) >= 0).all()


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP"])
def test_other_formats_are_refused(kind: str) -> None:
    assert refused(encoded(head(), kind)).code == "image_type_unsupported"


@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"%PDF-1.7", b"<svg/>"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert refused(data).code == "image_type_unsupported"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_truncated_files_are_refused(kind: str, share: float) -> None:
    noise = Image.effect_noise((200, 200), 80)
    data = encoded(noise, kind)
    assert refused(data[: int(len(data) * share)]).code == "image_unreadable"


def test_garbage_after_the_signature_is_refused() -> None:
    assert refused(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).code == "image_unreadable"
    assert refused(b"\xff\xd8\xff" + bytes(range(256))).code == "image_unreadable"


def test_animated_png_is_refused() -> None:
    frames = [head(), head().transpose(Image.Transpose.ROTATE_180)]
    data = encoded(frames[0], save_all=True, append_images=frames[1:])
    assert refused(data).code == "image_multiframe"


@pytest.mark.parametrize("side", [6_000, 10_000, 60_000])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    error = refused(bombs.huge_png(side))
    assert error.code == "image_too_many_pixels"
    assert error.detail == "The image has more than 30,000,000 pixels."


def test_the_limit_itself_is_allowed() -> None:
    assert read(encoded(head(100, 50)), max_pixels=5_000).width == 100
    assert refused(encoded(head(100, 50)), max_pixels=4_999).code == "image_too_many_pixels"


def test_a_text_chunk_that_inflates_is_refused() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("note", "x" * (PngImagePlugin.MAX_TEXT_CHUNK + 1), zip=True)
    assert refused(encoded(head(), pnginfo=text)).code == "image_unreadable"


def test_running_out_of_memory_is_an_image_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", exhausted)
    assert refused(encoded(head())).code == "image_too_large_for_memory"


def test_a_time_limit_is_not_blamed_on_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    class SoftTimeLimit(Exception):  # noqa: N818  # as billiard has it
        pass

    def slow(*_: object) -> None:
        raise SoftTimeLimit

    monkeypatch.setattr(Image.Image, "convert", slow)
    with pytest.raises(SoftTimeLimit):
        read(encoded(head()))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_flipped_bytes_are_read_or_refused(kind: str) -> None:
    rng = np.random.default_rng(0)
    sound = encoded(head().convert("RGB"), kind)
    for _ in range(200):
        data = bytearray(sound)
        for place in rng.integers(8, len(data), 3):
            data[place] = rng.integers(256)
        with suppress(ImageError):
            assert read(bytes(data)).pixels.mode in {"L", "RGB"}


def test_errors_never_quote_the_file() -> None:
    data = encoded(head(), "JPEG", comment=b"DOE^JANE")
    for error in (refused(data[:200]), refused(b"DOE^JANE"), refused(data, max_pixels=1)):
        assert "DOE" not in error.detail
        assert error.status == 422
        assert not error.retryable


def test_decode_leaves_the_warning_filters_alone() -> None:
    before = list(warnings.filters)
    read(encoded(head()))
    assert list(warnings.filters) == before


@pytest.mark.parametrize(
    "file",
    [
        encoded(head(24, 16)),
        encoded(head(24, 16).convert("P")),
        encoded(head(24, 16), "JPEG"),
        encoded(head(24, 16).convert("RGB"), "JPEG", progressive=True),
        bombs.interlaced_16_bit(16),
    ],
    ids=["PNG", "palette", "JPEG", "progressive", "interlaced 16 bit"],
)
def test_a_file_cut_anywhere_is_read_or_refused(file: bytes) -> None:
    assert read(file).width
    for length in range(len(file)):
        with suppress(ImageError):
            read(file[:length])


def test_indices_beyond_the_palette_are_pixels_all_the_same() -> None:
    pixels = read(bombs.palette_out_of_range()).pixels
    assert (pixels.mode, pixels.getpixel((1, 0))) == ("RGB", (255, 255, 255))


def test_a_jpeg_of_very_many_scans_is_refused_without_decoding_it() -> None:
    assert read(bombs.jpeg_of_scans(20, side=64)).width == 64
    error = refused(bombs.jpeg_of_scans(1000, side=64))
    assert error.code == "image_too_many_scans"


def test_the_side_that_is_needed_is_kept() -> None:
    data = encoded(head(3000, 2000), "JPEG")
    for side in (100, 512, 1024):
        assert side <= max(decode(data, max_pixels=LIMIT, least_side=side).pixels.size) < 2 * side
