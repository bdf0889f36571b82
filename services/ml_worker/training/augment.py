"""One image, seen otherwise: what another scanner, viewer or web site could have made of the same head.

Against source shortcuts as much as against over-fitting: crop and border, resolution, sharpness, grey levels and
JPEG tell where an image comes from, so each is drawn anew. Pillow on 8-bit grey: about 3 ms an image.
"""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter, ImageOps

Picture = Image.Image
#: Brighter than this is head, darker is air, in grey levels of 0 to 255.
_AIR = 16
#: How often each of the four bars of a border is there.
_BARS = 0.6


def augment(picture: Picture, rng: Generator) -> Picture:
    """A new version of `picture` (mode L, square), of the same size; the same for the same state of `rng`."""
    for chance, change in _CHANGES:
        if _happens(rng, chance):
            picture = change(picture, rng)
    return picture


def _happens(rng: Generator, chance: float) -> bool:
    return bool(rng.random() < chance)


def crop_to_head(picture: Picture, rng: Generator) -> Picture:
    """To what is brighter than air, with a margin of -4 to 15 % at each side, letter-boxed again."""
    box = picture.point(lambda value: 255 * (value > _AIR)).getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < picture.width // 4:
        return picture
    margins = rng.uniform(-0.04, 0.15, 4) * (box[2] - box[0])
    left, top, right, bottom = np.add(box, margins * (-1, -1, 1, 1)).round().astype(int).tolist()
    return ImageOps.pad(picture.crop((left, top, right, bottom)), picture.size, Image.Resampling.BILINEAR)


def move(picture: Picture, rng: Generator) -> Picture:
    """Turn up to 20 degrees, scale 0.85 to 1.2, stretch up to 12 %, shift up to 6 %; mirror half of all."""
    side = picture.width
    angle, (stretch,) = np.deg2rad(rng.uniform(-20, 20)), rng.uniform(0.88, 1.12, 1)
    zoom_x = rng.uniform(0.85, 1.2) * rng.choice((-1, 1))
    zoom_y = abs(zoom_x) * stretch
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn / np.array([zoom_x, zoom_y])
    centre = np.full(2, side / 2)
    offset = centre - matrix @ (centre + rng.uniform(-0.06, 0.06, 2) * side)
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])
    return picture.transform(
        picture.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR, fillcolor=0
    )


def lose_resolution(picture: Picture, rng: Generator) -> Picture:
    """Down to 64 to 190 px and up again, by one of three filters."""
    side = int(rng.integers(64, 190))
    ways = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    down, up = (ways[int(rng.integers(len(ways)))] for _ in range(2))
    return picture.resize((side, side), down).resize(picture.size, up)


def blur_or_sharpen(picture: Picture, rng: Generator) -> Picture:
    """Gaussian blur of up to 1.6 px, or as likely an unsharp mask of up to 200 %."""
    if _happens(rng, 0.5):
        return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
    return picture.filter(ImageFilter.UnsharpMask(rng.uniform(0.8, 2.5), int(rng.integers(40, 200)), 0))


def equalise(picture: Picture, rng: Generator) -> Picture:
    """Stretch the grey levels, or mix with their equalised form."""
    if _happens(rng, 0.6):
        return ImageOps.autocontrast(picture, cutoff=rng.uniform(0, 2))
    return Image.blend(picture, ImageOps.equalize(picture), rng.uniform(0.2, 0.8))


def relight(picture: Picture, rng: Generator) -> Picture:
    """Gamma 0.5 to 2, contrast 0.6 to 1.5, brightness +-12 % of the range; air stays dark half of the time."""
    gamma, contrast, lift = np.exp(rng.uniform(-0.7, 0.7)), rng.uniform(0.6, 1.5), rng.uniform(-0.12, 0.12)
    levels = np.linspace(0, 1, 256) ** gamma
    centred = (levels - 0.35) * contrast + 0.35 + lift
    if _happens(rng, 0.5):
        centred *= np.minimum(1, np.arange(256) / 30)
    return picture.point((centred * 255).round().clip(0, 255).astype(int).tolist())


def add_noise(picture: Picture, rng: Generator) -> Picture:
    """Gaussian, sigma 2 to 14 grey levels, on everything or (as after masking) on the head only."""
    values = np.asarray(picture, dtype=np.float32)
    noise = rng.standard_normal(values.shape, dtype=np.float32) * rng.uniform(2, 14)
    if _happens(rng, 0.5):
        noise *= values > _AIR
    return Image.fromarray((values + noise).clip(0, 255).astype(np.uint8))


def add_border(picture: Picture, rng: Generator) -> Picture:
    """A frame or bars of one grey, up to 10 % of the side each."""
    wide = rng.integers(0, picture.width // 10, 4) * (rng.random(4) < _BARS)
    grey = int(rng.choice([0, 0, 255, int(rng.integers(0, 255))]))
    left, top, right, bottom = (int(width) for width in wide)
    inside = picture.crop((left, top, picture.width - right, picture.height - bottom))
    framed = Image.new("L", picture.size, grey)
    framed.paste(inside, (left, top))
    return framed


def recompress(picture: Picture, rng: Generator) -> Picture:
    """Through JPEG of quality 25 to 90."""
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=int(rng.integers(25, 90)))
    return Image.open(buffer).convert("L")


#: Probability of each change, in the order in which the world makes them.
_CHANGES: tuple[tuple[float, Callable[[Picture, Generator], Picture]], ...] = (
    (0.5, crop_to_head),
    (0.9, move),
    (0.4, lose_resolution),
    (0.4, blur_or_sharpen),
    (0.3, equalise),
    (0.8, relight),
    (0.4, add_noise),
    (0.2, add_border),
    (0.5, recompress),
)
