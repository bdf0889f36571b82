"""Where the heatmap is strongest, in px of the image: the letter-box of `preprocess`, undone for one cell."""

import math

import numpy as np
from numpy.typing import NDArray

from shared.contracts import Box


def box(cam: NDArray[np.float32], size: tuple[int, int]) -> Box | None:
    """The strongest cell of a signed map over the letter-boxed square, clipped to an image of `size` (w, h; px).

    None where no cell is above zero, or where the strongest lies wholly on the bars beside the image.
    """
    row, column = np.unravel_index(int(np.argmax(cam)), cam.shape)
    if cam[row, column] <= 0:
        return None
    left, width = _along(int(column), cam.shape[1], size[0], max(size))
    top, height = _along(int(row), cam.shape[0], size[1], max(size))
    return Box(left=left, top=top, width=width, height=height) if width > 0 and height > 0 else None


def _along(cell: int, cells: int, length: int, square: int) -> tuple[int, int]:
    """Start and extent of a cell along one side of `length` px, centred in a square of `square` px."""
    bar = (square - length) / 2
    start, end = (edge * square / cells - bar for edge in (cell, cell + 1))
    first, last = max(0, math.floor(start)), min(length, math.ceil(end))
    return first, last - first
