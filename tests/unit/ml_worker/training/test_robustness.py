"""Each change does what its axis says, and every picture it makes is still one."""

import numpy as np
import pytest
from PIL import Image

from services.ml_worker.training import robustness
from services.ml_worker.training.drawn import DRAWERS, outliers
from tests.unit.ml_worker.pictures import head_slice


@pytest.mark.parametrize("name", list(robustness.CHANGES))
def test_every_strength_keeps_the_shape(name: str) -> None:
    change, strengths = robustness.CHANGES[name]
    pixels = np.stack([np.asarray(head_slice(0))])
    for strength in strengths:
        changed = robustness.changed(pixels, change, strength)
        assert (changed.shape, changed.dtype.name) == ((1, 224, 224), "uint8")
        assert (changed != pixels).any()


def test_contrast_is_about_mid_grey() -> None:
    picture = robustness.contrast(Image.new("L", (1, 1), 28), 0.5)
    assert picture.getpixel((0, 0)) == 78


def test_every_outlier_is_drawn_and_repeats_itself() -> None:
    first, again = (list(outliers(2, seed=1)) for _ in range(2))
    assert [name for name, _ in first] == [name for name in DRAWERS for _ in range(2)]
    assert all(one.tobytes() == other.tobytes() for (_, one), (_, other) in zip(first, again, strict=True))
    assert {picture.mode for _, picture in first} == {"RGB"}
