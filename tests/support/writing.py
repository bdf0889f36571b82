"""Pictures with and without writing in them, drawn by code: how often the detector of writing errs.

The detector was made with these; `python -m benchmarks.burned_in_text` judges it on others.
"""

import io
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from embedded.phantom import draw_phantom
from services.ml_worker.training.drawn import outliers

SIDES, SIZES, SHADES = (256, 512, 1024), (9, 12, 18, 32), (255, 160, 90)
WORDS = ("DOE^JOHN 1961-02-03", "MRN 0048213", "Smith, Anna", "12-Nov-2025 14:02")
#: Kinds of drawn pictures without any writing.
KINDS = ("donut", "chest film", "blank frame", "landscape", "natural texture", "test card", "white noise")


def with_writing() -> Iterator[Image.Image]:
    """A phantom of a head with a line of letters at its upper or lower edge, as PNG and as JPEG."""
    rng = np.random.default_rng(1)
    for side, size, shade, words in product(SIDES, SIZES, SHADES, WORDS):
        font = ImageFont.load_default(size)
        picture = phantom(side).copy()
        left = int(rng.integers(2, max(3, side - int(font.getlength(words)) - 2)))
        ImageDraw.Draw(picture).text((left, rng.choice([3, side - size - 6])), words, fill=shade, font=font)
        yield picture
        yield as_jpeg(picture)


def without_writing(each: int = 40) -> Iterator[tuple[str, Image.Image]]:
    """Phantoms in every size, and `each` pictures of each kind."""
    for side in SIDES:
        yield "phantom", phantom(side)
        yield "phantom", as_jpeg(phantom(side))
    yield from ((kind, picture) for kind, picture in outliers(each, seed=7) if kind in KINDS)


@cache
def phantom(side: int) -> Image.Image:
    """A head as the demo draws it."""
    with tempfile.TemporaryDirectory() as folder, Image.open(draw_phantom(Path(folder, "p.png"))) as drawn:
        return drawn.convert("L").resize((side, side))


def as_jpeg(picture: Image.Image) -> Image.Image:
    """After a JPEG of quality 85."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return Image.open(out)
