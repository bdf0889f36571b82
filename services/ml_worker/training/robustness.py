"""How figures fall as images get worse: one curve for each way in which they do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

from services.ml_worker.model import Card, Model
from services.ml_worker.training import metrics
from services.ml_worker.training.pixels import Grey
from services.ml_worker.training.scored import Scored, scale_of, score

Picture = Image.Image


@dataclass(frozen=True)
class Point:
    """All images at one strength of one change."""

    strength: float
    auc: float
    accuracy: float
    abstained: float


def blur(picture: Picture, sigma: float) -> Picture:
    """Gaussian, sigma in px of 224."""
    return picture.filter(ImageFilter.GaussianBlur(sigma))


def noise(picture: Picture, sigma: float) -> Picture:
    """Gaussian, sigma in grey levels of 255."""
    values = np.asarray(picture, dtype=np.float64)
    shaken = values + np.random.default_rng(0).normal(0, sigma, values.shape)
    return Image.fromarray(shaken.clip(0, 255).astype(np.uint8))


def contrast(picture: Picture, factor: float) -> Picture:
    """About mid-grey."""
    return picture.point([round(min(255, max(0, 128 + factor * (level - 128)))) for level in range(256)])


def rotation(picture: Picture, degrees: float) -> Picture:
    """Counter-clockwise, black corners."""
    return picture.rotate(degrees, Image.Resampling.BILINEAR)


def jpeg(picture: Picture, quality: float) -> Picture:
    """Through a JPEG file of this quality."""
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=int(quality))
    return Image.open(buffer).convert("L")


def resolution(picture: Picture, side: float) -> Picture:
    """Down to so many px and up again."""
    small = picture.resize((int(side), int(side)), Image.Resampling.BOX)
    return small.resize(picture.size, Image.Resampling.BILINEAR)


#: Each change with the strengths it is tried at, mildest first.
CHANGES: dict[str, tuple[Callable[[Picture, float], Picture], Sequence[float]]] = {
    "blur (sigma, px)": (blur, (0.5, 1, 2, 3)),
    "noise (sigma, grey levels)": (noise, (5, 10, 20, 40)),
    "contrast (factor)": (contrast, (0.8, 0.5, 0.3, 1.5)),
    "rotation (degrees)": (rotation, (5, 15, 30, 90)),
    "JPEG (quality)": (jpeg, (75, 40, 20, 8)),
    "resolution (px a side)": (resolution, (160, 112, 80, 56)),
}


def curves(model: Model, card: Card, clean: Scored, pixels: Grey) -> dict[str, list[Point]]:
    """For every change its points; `clean` are the same images as they came."""
    return {
        name: [
            _point(strength, score(model, changed(pixels, change, strength), clean.truth, clean.groups), card)
            for strength in strengths
        ]
        for name, (change, strengths) in CHANGES.items()
    }


def changed(pixels: Grey, change: Callable[[Picture, float], Picture], strength: float) -> Grey:
    """Every image [n, h, w] after `change`."""
    return np.stack([np.asarray(change(Image.fromarray(image), strength)) for image in pixels])


def _point(strength: float, scored: Scored, card: Card) -> Point:
    p = scored.p_positive(scale_of(card))
    at = metrics.rates(scored.truth, p, card.threshold)
    abstained = float((~scored.kept(card)).mean())
    return Point(strength, round(metrics.auc(scored.truth, p), 4), round(at.accuracy, 4), round(abstained, 4))
