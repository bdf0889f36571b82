"""What the network sees of a decoded image, and the preview that is kept of it."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw

from services.ml_worker.image import PREVIEW_SIDE, preprocess, preview
from shared.image.decode import decode


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


def values(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [(224, 224), (512, 300), (30, 600), (1, 1), (900, 899)])
def test_preprocess_gives_the_contract(mode: str, size: tuple[int, int]) -> None:
    batch = preprocess(head(*size).convert(mode))
    assert batch.shape == (1, 224, 224, 3)
    assert batch.dtype == np.dtype(np.float32)
    assert batch.min() >= 0
    assert batch.max() <= 1
    assert np.array_equal(batch, preprocess(head(*size).convert(mode)))


def test_preprocess_of_the_right_size_is_the_identity() -> None:
    image = Image.effect_noise((224, 224), 90)
    assert np.array_equal(preprocess(image)[0, :, :, 0] * 255, values(image))


def test_preprocess_letter_boxes() -> None:
    batch = preprocess(Image.new("L", (400, 200), 255))[0, :, :, 0]
    assert (batch[56:168] == 1).all()
    assert (batch[:56] == 0).all()
    assert (batch[168:] == 0).all()


def test_preprocess_does_not_alias() -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (448, 224)))
    inner = preprocess(stripes)[0, :, 1:-1, 0]  # the outermost columns see less than a full period
    assert np.abs(inner - 0.5).max() < 0.02


def test_preview_is_small_and_bare() -> None:
    exif = Image.Exif()
    exif[0x010E] = "DOE^JANE"
    data = encoded(head(900, 450), "JPEG", exif=exif, comment=b"DOE^JANE", dpi=(300, 300))
    shown = preview(decode(data, max_pixels=10**6, least_side=PREVIEW_SIDE).pixels)
    assert b"DOE" not in shown
    with Image.open(BytesIO(shown)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "L", (512, 256))
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_preview_does_not_carry_metadata_of_what_it_is_given() -> None:
    image = head()
    image.info.update(comment=b"DOE^JANE", icc_profile=b"DOE^JANE", exif=b"DOE^JANE", xmp=b"DOE^JANE")
    assert b"DOE" not in preview(image)
    assert image.info["comment"] == b"DOE^JANE"


def test_preview_never_enlarges_and_keeps_colour() -> None:
    with Image.open(BytesIO(preview(head(40, 20).convert("RGB")))) as image:
        assert (image.mode, image.size) == ("RGB", (40, 20))
