"""Pictures with a line of writing of chosen size, contrast and shape, and pictures with what may look like one.

Drawn by code, the same each time, and other ones than the detector of writing was made with
(`tests/support/writing.py`): other heads, typefaces, words and places.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import reportlab
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks.drawn import pictures
from services.ml_worker.training.drawn import outliers

SIDES = (256, 512, 1024)
_FACES = tuple(Path(reportlab.__file__).parent / "fonts" / name for name in ("Vera.ttf", "VeraBd.ttf"))
_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#: Of each side, drawn once and written on often.
_HEADS = 12
_SEED = 20261128
#: Between letters and the picture's edge, px.
_MARGIN = 4
#: Kinds of other drawn pictures without writing.
_OTHERS = ("donut", "chest film", "blank frame", "landscape", "natural texture", "test card", "white noise")


@dataclass(frozen=True)
class Line:
    """How one line of writing looks. Sizes in px of a picture of the sides above, levels of gray of 255."""

    #: Of the typeface; its capitals are about three quarters as high.
    size: int = 16
    #: Of the letters to the mean of what is under them; below 0 they are darker.
    contrast: int = 110
    letters: int = 12
    #: In the middle, over the head, and not at the upper or lower edge.
    over_head: bool = False
    #: Turned by so many degrees.
    angle: float = 0.0
    #: Softened, sigma in px.
    blur: float = 0.0
    #: Of a JPEG; None: as it is.
    quality: int | None = None
    #: What is under the letters is this bright; None: whatever it is.
    ground: int | None = None


def written(line: Line, count: int) -> Iterator[Image.Image]:
    """So many pictures with such a line: other letters, place, side and typeface in each."""
    for number in range(count):
        rng = np.random.default_rng((_SEED, number))
        mask = _mask(line, rng)
        sides = [side for side in SIDES if side >= max(mask.size) + 2 * _MARGIN]
        yield _with(line, _heads(sides[number % len(sides)])[number % _HEADS].copy(), mask, rng)


def _with(line: Line, picture: Image.Image, mask: Image.Image, rng: Generator) -> Image.Image:
    left, top = _place(line, picture.size, mask.size, rng)
    box = (left, top, left + mask.width, top + mask.height)
    if line.ground is not None:
        picture.paste(line.ground, box)
    under = float(np.asarray(picture.crop(box)).mean())
    picture.paste(int(np.clip(under + line.contrast, 0, 255)), box, mask)
    return _as_jpeg(picture, line.quality) if line.quality else picture


def _mask(line: Line, rng: Generator) -> Image.Image:
    """The letters, white on black, as small as they may stand."""
    words = "".join(rng.choice(list(_SIGNS), line.letters))
    if line.letters >= 8:  # noqa: PLR2004 - two words, as names have
        words = f"{words[: line.letters // 2]} {words[line.letters // 2 + 1 :]}"
    font = ImageFont.truetype(rng.choice([str(face) for face in _FACES]), line.size)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(words))
    mask = Image.new("L", (right - left + 8, bottom - top + 8))
    ImageDraw.Draw(mask).text((4 - left, 4 - top), words, fill=255, font=font)
    if line.angle:
        mask = mask.rotate(line.angle, Image.Resampling.BICUBIC, expand=True)
    return mask.filter(ImageFilter.GaussianBlur(line.blur)) if line.blur else mask


def _place(line: Line, whole: tuple[int, int], own: tuple[int, int], rng: Generator) -> tuple[int, int]:
    left = int(rng.integers(_MARGIN, max(_MARGIN + 1, whole[0] - own[0] - _MARGIN)))
    if line.over_head:
        return (whole[0] - own[0]) // 2, int(whole[1] * rng.uniform(0.3, 0.6))
    return left, int(rng.choice([_MARGIN, whole[1] - own[1] - _MARGIN]))


@cache
def _heads(side: int) -> list[Image.Image]:
    return [Image.open(io.BytesIO(data)).convert("L") for data in pictures(_HEADS, side)]


def _as_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return Image.open(out)


# --- without writing --------------------------------------------------------------------------------------------


def unwritten(each: int) -> Iterator[tuple[str, Image.Image]]:
    """So many pictures of each kind without a letter, by the name of the kind."""
    for side in SIDES:
        yield from (("head", head) for head in _heads(side))
    for name, draw in _MARKED.items():
        for number in range(each):
            rng = np.random.default_rng((_SEED, number))
            side = SIDES[number % len(SIDES)]
            yield name, draw(_heads(side)[number % _HEADS].copy(), rng)
    yield from ((kind, picture) for kind, picture in outliers(each, seed=_SEED) if kind in _OTHERS)


def _ruler(picture: Image.Image, rng: Generator) -> Image.Image:
    """A scale with ticks along one edge, as viewers and scanners draw."""
    pen, (width, height) = ImageDraw.Draw(picture), picture.size
    step, shade = int(rng.integers(6, 24)), int(rng.integers(120, 256))
    upright = bool(rng.integers(2))
    for number, at in enumerate(range(height // 5, height * 4 // 5, step)):
        length = 12 if number % 5 == 0 else 6
        pen.line(
            (width - 8 - length, at, width - 8, at) if upright else (at, height - 8 - length, at, height - 8),
            shade,
        )
    return picture


def _crosshair(picture: Image.Image, rng: Generator) -> Image.Image:
    """Two lines across, and a box around something."""
    pen, (width, height) = ImageDraw.Draw(picture), picture.size
    x, y = int(width * rng.uniform(0.3, 0.7)), int(height * rng.uniform(0.3, 0.7))
    pen.line((0, y, width, y), 200)
    pen.line((x, 0, x, height), 200)
    pen.rectangle((x - 20, y - 20, x + 20, y + 20), outline=255)
    return picture


def _wedge(picture: Image.Image, rng: Generator) -> Image.Image:
    """A gray scale in steps beside the picture."""
    pen, (width, height) = ImageDraw.Draw(picture), picture.size
    steps = int(rng.integers(8, 32))
    for step in range(steps):
        top = height // 6 + step * (height * 2 // 3) // steps
        pen.rectangle(
            (width - 18, top, width - 8, top + (height * 2 // 3) // steps), 255 * step // (steps - 1)
        )
    return picture


def _mosaic(picture: Image.Image, rng: Generator) -> Image.Image:
    """The slices of a stack, side by side and small."""
    across = int(rng.integers(3, 7))
    small = picture.resize((picture.width // across, picture.height // across))
    whole = Image.new("L", picture.size)
    for place in range(across * across):
        whole.paste(small, (place % across * small.width, place // across * small.height))
    return whole


def _dots(picture: Image.Image, rng: Generator) -> Image.Image:
    """A row of bright spots, such as electrodes or fiducial markers."""
    pen, (width, height) = ImageDraw.Draw(picture), picture.size
    radius, row = int(rng.integers(2, 5)), int(height * rng.uniform(0.05, 0.95))
    for x in range(width // 6, width * 5 // 6, int(rng.integers(14, 60))):
        pen.ellipse((x - radius, row - radius, x + radius, row + radius), 230)
    return picture


_MARKED: dict[str, Callable[[Image.Image, Generator], Image.Image]] = {
    "head with a ruler": _ruler,
    "head with lines and a box": _crosshair,
    "head with a gray wedge": _wedge,
    "mosaic of heads": _mosaic,
    "head with a row of spots": _dots,
}
