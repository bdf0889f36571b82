"""Draws the ML reading's Grad-CAM over the image. Pure: preview bytes and map in, a picture out.

The gateway shows it as PNG; fusion puts it into the study of a DICOM image.

What full colour means. A map cell is what that part of the image adds to the Positive logit. Full colour is
the strongest cell, unless one of two larger values is: four times the mean cell, so that an even map stays an
even pale tint and no cell passes for a hot spot; or 0.1, because 0.1 of a logit moves P(positive) by 2.5
percentage points at the most, and less than that is not worth a viewer's eye. A map of zeros draws nothing.
"""

import io
import struct
from collections.abc import Sequence

from PIL import Image

#: Part of the picture's ETag: to be raised whenever the same map is drawn differently.
DRAWING_VERSION = 2

_MEAN_FACTOR = 4.0
_LEAST_FULL_LOGIT = 0.1
#: Opacity of full colour; anatomy stays visible under it.
_MOST_OPAQUE = 0.65
#: Five samples of matplotlib's `inferno` (CC0): lightness grows with value, also for the colour-blind.
_INFERNO = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))

Cam = Sequence[Sequence[float]]


def draw(preview: bytes, cam: Cam) -> bytes:
    """The preview with the map over it, as PNG of the preview's size.

    preview: JPEG made by the ML worker from decoded pixels, so it is safe to decode. cam: rows of logit units.
    """
    return _png(overlay(preview, cam))


def overlay(preview: bytes, cam: Cam) -> Image.Image:
    """The same as RGB pixels."""
    with Image.open(io.BytesIO(preview), formats=("JPEG",)) as opened:
        picture = opened.convert("RGB")
    heat = _over(picture.size, strengths(cam))
    opacity = heat.point([round(_MOST_OPAQUE * level) for level in range(256)])
    return Image.composite(_coloured(heat), picture, opacity)


def _over(size: tuple[int, int], heat: Image.Image) -> Image.Image:
    """The map at the picture's size. The network saw the image letter-boxed in a square, so its bars are cut off."""
    width, height = size
    side = max(size)
    left, top = (side - width) // 2, (side - height) // 2
    square = heat.resize((side, side), Image.Resampling.BILINEAR).convert("L")
    return square.crop((left, top, left + width, top + height))


def strengths(cam: Cam) -> Image.Image:
    """The map in its own size as floats: 0 nothing, 255 full colour."""
    cells = [value for row in cam for value in row]
    full = max(*cells, _MEAN_FACTOR * sum(cells) / len(cells), _LEAST_FULL_LOGIT)
    packed = struct.pack(f"{len(cells)}f", *(255 * value / full for value in cells))
    return Image.frombytes("F", (len(cam[0]), len(cam)), packed)


def _coloured(heat: Image.Image) -> Image.Image:
    coloured = Image.frombytes("P", heat.size, heat.tobytes())
    coloured.putpalette([channel for level in range(256) for channel in _colour(level / 255)])
    return coloured.convert("RGB")


def _colour(strength: float) -> tuple[int, ...]:
    last = len(_INFERNO) - 2
    left = min(int(strength * (last + 1)), last)
    part = strength * (last + 1) - left
    return tuple(round(a + part * (b - a)) for a, b in zip(_INFERNO[left], _INFERNO[left + 1], strict=True))


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=3)  # half the time of the default for a few per cent of size
    return out.getvalue()
