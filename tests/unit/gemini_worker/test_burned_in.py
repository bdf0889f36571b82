"""Writing in a picture is found, and what is no writing is not taken for it."""

import numpy as np
import pytest
from PIL import Image

from services.gemini_worker.burned_in import shows_writing
from tests.support import writing


def test_writing_is_found() -> None:
    found = [shows_writing(picture) for picture in writing.with_writing()]
    assert sum(found) / len(found) >= 0.98


def test_pictures_without_writing_are_not_taken_for_such() -> None:
    said = [shows_writing(picture) for kind, picture in writing.without_writing(8) if kind != "test card"]
    assert sum(said) / len(said) <= 0.02


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (8, 8), (96, 96), (3000, 20)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_size_is_judged(size: tuple[int, int], mode: str) -> None:
    assert not shows_writing(Image.new(mode, size))


def test_dark_letters_on_a_bright_ground_are_found() -> None:
    turned = Image.eval(next(writing.with_writing()), lambda level: 255 - level)
    assert shows_writing(turned)


def test_stripes_over_the_whole_height_are_none() -> None:
    values = np.zeros((300, 300), np.uint8)
    values[:, ::12] = 255
    assert not shows_writing(Image.fromarray(values))
