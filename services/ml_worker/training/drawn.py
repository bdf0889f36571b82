"""Pictures that are no brain MRI, drawn by code: what the out-of-distribution gate is held against.

The same for the same seed. Each drawer gives mode RGB, 256 px; `outliers` names them all.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Picture = Image.Image
_SIDE = 256
#: Of the chest film: share of a period that is rib, half widths of chest and spine.
_RIB, _CHEST, _SPINE = 0.55, 0.42, 0.04

_WORDS = "patient report date result normal total page table value the of and for with from this"


def outliers(each: int, seed: int = 0) -> Iterator[tuple[str, Picture]]:
    """Every kind of picture `each` times, with its name."""
    for place, (name, draw) in enumerate(DRAWERS.items()):
        for number in range(each):
            yield name, draw(np.random.default_rng((seed, place, number)))


def donut(rng: Generator) -> Picture:
    """A glazed ring with sprinkles on a plate."""
    picture = Image.new("RGB", (_SIDE, _SIDE), _colour(rng))
    pen = ImageDraw.Draw(picture)
    centre, outer = rng.uniform(110, 146, 2), rng.uniform(70, 105)
    inner = outer * rng.uniform(0.25, 0.45)
    _disc(pen, centre, outer * 1.15, (205, 150, 90))
    _disc(pen, centre, outer, _colour(rng))
    for angle, radius in zip(rng.uniform(0, 2 * np.pi, 60), rng.uniform(inner, outer, 60), strict=True):
        x, y = centre + radius * np.array([np.cos(angle), np.sin(angle)])
        pen.line((x, y, x + rng.uniform(-6, 6), y + rng.uniform(-6, 6)), fill=_colour(rng), width=3)
    _disc(pen, centre, inner, _colour(rng))
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5)))


def chest_film(rng: Generator) -> Picture:
    """Two dark lungs behind bright ribs, a spine and a heart."""
    y, x = np.mgrid[:_SIDE, :_SIDE] / _SIDE - 0.5
    body = 150 - 60 * np.abs(x) ** 1.5 + 20 * y
    for side in (-1, 1):
        lung = ((x - side * rng.uniform(0.18, 0.23)) / 0.15) ** 2 + (
            (y + 0.02) / rng.uniform(0.3, 0.36)
        ) ** 2 < 1
        body = np.where(lung, body - 95, body)
    ribs = np.sin((y + 0.6 * np.abs(x) ** 1.4) * rng.uniform(50, 70)) > _RIB
    body += 28 * ribs * (np.abs(x) < _CHEST) + 55 * (np.abs(x) < _SPINE)
    heart = ((x - 0.07) / 0.13) ** 2 + ((y - 0.14) / 0.15) ** 2 < 1
    body = np.where(heart, np.maximum(body, 170), body) + rng.normal(0, 6, x.shape)
    return _grey(body).filter(ImageFilter.GaussianBlur(1.5))


def blank(rng: Generator) -> Picture:
    """One grey, from black to white, with or without a little noise."""
    noise = rng.choice((0.0, 2.0, 10.0))
    return _grey(rng.choice((0, 255, rng.uniform(0, 255))) + rng.normal(0, 1, (_SIDE, _SIDE)) * noise)


def text_page(rng: Generator) -> Picture:
    """A screenshot of lines of words, dark on light or light on dark."""
    paper, ink = ((245,) * 3, (20,) * 3) if rng.integers(2) else ((25,) * 3, (225,) * 3)
    picture = Image.new("RGB", (_SIDE, _SIDE), paper)
    pen = ImageDraw.Draw(picture)
    for top in range(6, _SIDE - 8, int(rng.integers(12, 20))):
        line = " ".join(rng.choice(_WORDS.split(), int(rng.integers(2, 9))))
        pen.text((8, top), line, fill=ink)
    return picture


def landscape(rng: Generator) -> Picture:
    """Sky, hills of coloured 1/f noise and a sun: the colours and the spectrum of a photograph."""
    y = np.mgrid[:_SIDE, :_SIDE][0] / _SIDE
    sky = np.stack([120 + 60 * y, 160 + 50 * y, 230 - 30 * y], axis=-1)
    ground = np.array(_colour(rng)) * 0.6 + 70 * _cloud(rng)[..., np.newaxis]
    horizon = rng.uniform(0.4, 0.7) + 0.12 * np.sin(
        np.arange(_SIDE) / rng.uniform(15, 60) + rng.uniform(0, 6)
    )
    values = np.where((y > horizon)[..., np.newaxis], ground, sky + 25 * _cloud(rng)[..., np.newaxis])
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def texture(rng: Generator) -> Picture:
    """Grey 1/f noise from edge to edge: the spectrum of any natural image and nothing else of it."""
    return _grey(128 + rng.uniform(30, 60) * _cloud(rng))


def stripes(rng: Generator) -> Picture:
    """A test card: bars, a grid or a checkerboard."""
    y, x = np.mgrid[:_SIDE, :_SIDE]
    period = int(rng.integers(8, 48))
    bars, grid = (x // period) % 2, ((x % period <= 1) | (y % period <= 1)).astype(int)
    board = (x // period + y // period) % 2
    return _grey(np.array([bars, grid, board][int(rng.integers(3))]) * rng.uniform(100, 255))


def noise(rng: Generator) -> Picture:
    """White noise, as of a broken detector."""
    return _grey(rng.normal(128, rng.uniform(20, 80), (_SIDE, _SIDE)))


def _cloud(rng: Generator) -> NDArray[np.float64]:
    """[256, 256], mean 0 and variance 1, amplitude falling as 1/f."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_SIDE), np.fft.fftfreq(_SIDE)))
    frequency[0, 0] = np.inf
    cloud = np.fft.ifft2(np.fft.fft2(rng.normal(size=(_SIDE, _SIDE))) / frequency).real
    return np.asarray((cloud - cloud.mean()) / cloud.std())


def _colour(rng: Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(30, 256, 3).tolist()
    return red, green, blue


def _disc(
    pen: ImageDraw.ImageDraw, centre: NDArray[np.float64], radius: float, fill: tuple[int, int, int]
) -> None:
    pen.ellipse((*(centre - radius), *(centre + radius)), fill=fill)


def _grey(values: NDArray[np.float64]) -> Picture:
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")


DRAWERS: dict[str, Callable[[Generator], Picture]] = {
    "donut": donut,
    "chest film": chest_film,
    "blank frame": blank,
    "page of text": text_page,
    "landscape": landscape,
    "natural texture": texture,
    "test card": stripes,
    "white noise": noise,
}
