"""The strongest cell of the map, found again in the image: the letter-box undone."""

import numpy as np
import pytest

from services.ml_worker.peak import box
from shared.contracts import Box


def cam(row: int, column: int, value: float = 1.0) -> np.ndarray:
    found = np.full((7, 7), -1, np.float32)
    found[row, column] = value
    return found


@pytest.mark.parametrize(
    ("place", "size", "expected"),
    [
        ((0, 0), (70, 70), Box(left=0, top=0, width=10, height=10)),
        ((6, 3), (70, 70), Box(left=30, top=60, width=10, height=10)),
        # 140 x 70: the square is 140, with bars of 35 px above and below; rows of 20 px from -35.
        ((3, 0), (140, 70), Box(left=0, top=25, width=20, height=20)),
        ((1, 0), (140, 70), Box(left=0, top=0, width=20, height=5)),
        ((3, 5), (70, 140), Box(left=65, top=60, width=5, height=20)),
        ((2, 2), (100, 100), Box(left=28, top=28, width=15, height=15)),
    ],
)
def test_cells_of_square_wide_and_tall_images(
    place: tuple[int, int], size: tuple[int, int], expected: Box
) -> None:
    assert box(cam(*place), size) == expected


def test_a_cell_wholly_on_a_bar_is_no_place_in_the_image() -> None:
    assert box(cam(0, 0), (140, 70)) is None


def test_a_map_that_speaks_against_everywhere_has_no_peak() -> None:
    assert box(cam(3, 3, value=0.0), (70, 70)) is None
