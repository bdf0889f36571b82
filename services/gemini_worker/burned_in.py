"""Whether writing stands in a picture, judged by its pixels alone: what looks like a line of letters. Pure.

A line of writing has many strokes side by side, is not high, and above and below it there is nothing of the kind.
Tissue and noise have no such quiet above and below, an outline has few strokes, stripes are too high. It finds what is
written plainly, as devices write it; it reads nothing. How often it errs: docs/dicom.md.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Larger pictures are looked at in this size, px of the long side.
_SIDE = 1024
#: Gray levels between neighbours that are the edge of a stroke.
_STEP = 40
#: Width in which strokes are counted, and how many of them make a line of letters; fewer than `_FEW` are quiet.
_WIDTH, _MANY, _FEW = 96, 5, 2
#: Height of a line, px.
_LOWEST, _HIGHEST = 5, 56
#: Rows above and below that must be quiet, and how far away they may begin.
_QUIET, _NEAR = 2, 5
#: Positions that are looked at: every so many px.
_STRIDE = 12


def shows_writing(pixels: Image.Image) -> bool:
    """Whether a line of at least four or five letters stands anywhere in `pixels`."""
    gray = pixels.convert("L")
    gray.thumbnail((_SIDE, _SIDE))
    return _has_line(gray) or _has_line(_halved(gray))


def _halved(gray: Image.Image) -> Image.Image:
    """In half the size large letters stand as close as others, and soft ones are sharp."""
    return gray.reduce(2)


def _has_line(gray: Image.Image) -> bool:
    strokes = _strokes(np.asarray(gray, dtype=np.int16))
    return any(_is_line(strokes[:, at]) for at in range(0, strokes.shape[1], _STRIDE))


def _strokes(gray: NDArray[np.int16]) -> NDArray[np.int32]:
    """How many strokes begin within `_WIDTH` px to the right of each pixel, in its row."""
    rising = np.diff(gray, axis=1, prepend=gray[:, :1]) > _STEP
    begins = rising & ~np.roll(rising, 1, axis=1)
    sums = np.cumsum(np.pad(begins, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    width = min(_WIDTH, gray.shape[1])
    return sums[:, width:] - sums[:, :-width]


def _is_line(counts: NDArray[np.int32]) -> bool:
    many = counts >= _MANY
    edges = np.flatnonzero(np.diff(np.pad(many, 1).astype(np.int8)))
    for top, bottom in zip(edges[::2], edges[1::2], strict=True):
        if (
            _LOWEST <= bottom - top <= _HIGHEST
            and _is_quiet(counts[:top][::-1])
            and _is_quiet(counts[bottom:])
        ):
            return True
    return False


def _is_quiet(going_away: NDArray[np.int32]) -> bool:
    """Whether there are quiet rows close by, or the picture ends there."""
    near = going_away[: _NEAR + _QUIET] < _FEW
    if len(near) < _NEAR + _QUIET:
        return True
    return bool(np.lib.stride_tricks.sliding_window_view(near, _QUIET).all(axis=1).any())
