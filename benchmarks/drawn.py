"""The images that everything measured here reads: drawn by code, the same bytes each time. No patient, no scanner."""

import random
from io import BytesIO

from PIL import Image, ImageChops, ImageDraw, ImageFilter

#: JPEG quality: scanners' exports are about this good.
_QUALITY = 90
_SEED = 20261127


def pictures(count: int, side: int = 512) -> list[bytes]:
    """Grey JPEGs of `side` px: a head with something in it, over noise that compresses like tissue."""
    chance = random.Random(_SEED)  # noqa: S311 - the same pictures each time
    return [_picture(chance, side) for _ in range(count)]


def _picture(chance: random.Random, side: int) -> bytes:
    image = Image.new("L", (side, side), 4)
    pen = ImageDraw.Draw(image)
    for shrink, grey in ((0.07, 150), (0.10, 40), (0.12, 110), (0.18, 130)):
        pen.ellipse(_box(0.5, 0.5, 0.5 - shrink, 0.5 - shrink * 0.7, side), fill=grey)
    pen.ellipse(
        _box(chance.uniform(0.35, 0.65), chance.uniform(0.35, 0.65), 0.05, 0.07, side),
        fill=chance.randrange(30, 240),
    )
    soft = image.filter(ImageFilter.GaussianBlur(side / 128))
    buffer = BytesIO()
    ImageChops.add(soft, _tissue(chance, side), scale=1, offset=-12).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _box(x: float, y: float, half_width: float, half_height: float, side: int) -> tuple[float, ...]:
    left, right = x - half_width, x + half_width
    return left * side, (y - half_height) * side, right * side, (y + half_height) * side


def _tissue(chance: random.Random, side: int) -> Image.Image:
    """Noise of 0 to 24 grey levels, smoothed a little; drawn small and enlarged where a picture is large."""
    drawn = min(side, 512)
    noise = Image.frombytes("L", (drawn, drawn), chance.randbytes(drawn * drawn)).point(lambda v: v // 10)
    return noise.filter(ImageFilter.GaussianBlur(0.8)).resize((side, side))
