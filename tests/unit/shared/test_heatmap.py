"""The overlay: as strong as the evidence, and no stronger."""

import io

import pytest
from PIL import Image, ImageChops

from shared.heatmap import draw, strengths
from tests.unit.gateway import images

PREVIEW = images.encode(images.picture("L", (140, 70)), "JPEG", quality=95)


def cam(**cells: float) -> list[list[float]]:
    """A map of `rest` but for the cells named `r<row>c<column>`."""
    rest = cells.pop("rest", 0.0)
    return [[cells.get(f"r{row}c{column}", rest) for column in range(7)] for row in range(7)]


def drawn(cells: list[list[float]]) -> Image.Image:
    return Image.open(io.BytesIO(draw(PREVIEW, cells)), formats=("PNG",))


def without_heat() -> Image.Image:
    return Image.open(io.BytesIO(PREVIEW)).convert("RGB")


def change(cells: list[list[float]], box: tuple[int, int, int, int] = (0, 0, 140, 70)) -> int:
    """The largest difference, of 255, that the map makes within `box` of the preview."""
    return max(ImageChops.difference(drawn(cells), without_heat()).crop(box).tobytes())


def test_it_is_a_png_of_the_previews_size() -> None:
    assert drawn(cam(r0c0=1.0)).size == (140, 70)


def test_a_map_of_zeros_draws_nothing() -> None:
    assert change(cam()) == 0


def test_the_strongest_cell_has_full_colour_where_it_stands_out() -> None:
    assert strengths(cam(r2c3=2.0)).getextrema() == (0, 255)


def test_an_even_map_has_no_hot_spot() -> None:
    low, high = strengths(cam(rest=5.0)).getextrema()
    assert low == high == pytest.approx(255 / 4)


def test_evidence_that_hardly_moves_the_result_stays_pale() -> None:
    _, high = strengths(cam(r2c3=0.01)).getextrema()
    assert high == pytest.approx(25.5)


def test_row_0_is_at_the_top_and_column_0_at_the_left() -> None:
    # Of the seven rows the picture shows 1.75 to 5.25: it is half as high as the square that the network saw.
    upper_right = cam(r2c6=2.0)
    assert change(upper_right, (120, 5, 140, 25)) > 60
    assert change(upper_right, (0, 5, 20, 25)) == 0
    assert change(upper_right, (120, 50, 140, 70)) == 0


def test_on_a_wide_image_the_bars_of_the_letter_box_are_left_out() -> None:
    assert change(cam(r0c3=2.0)) == 0
    assert change(cam(r3c3=2.0), (60, 30, 80, 40)) > 60
    assert change(cam(r6c3=2.0)) == 0
