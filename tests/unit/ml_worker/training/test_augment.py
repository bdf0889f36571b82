"""Augmentation: every change keeps what a network can take, and the same seed gives the same picture."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator
from PIL import Image

from services.ml_worker.training import augment as module
from services.ml_worker.training.augment import augment
from tests.unit.ml_worker.pictures import head_slice

CHANGES = [change for _, change in module._CHANGES]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("picture", [head_slice(3), Image.new("L", (224, 224), 0)], ids=["head", "black"])
def test_every_change_keeps_size_and_mode(
    change: Callable[[Image.Image, Generator], Image.Image], picture: Image.Image
) -> None:
    for seed in range(5):
        found = change(picture, np.random.default_rng(seed))
        assert (found.size, found.mode) == ((224, 224), "L")


def test_the_same_seed_gives_the_same_picture_and_another_another() -> None:
    first, again, other = (
        np.asarray(augment(head_slice(3), np.random.default_rng(seed))) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_a_head_is_cropped_to_and_an_empty_frame_is_left_alone() -> None:
    head = Image.new("L", (224, 224), 0)
    head.paste(200, (80, 60, 160, 170))
    found = np.asarray(module.crop_to_head(head, np.random.default_rng(0)))
    assert (found > 100).mean() > 0.4
    speck = Image.new("L", (224, 224), 0)
    speck.putpixel((5, 5), 255)
    assert module.crop_to_head(speck, np.random.default_rng(0)) is speck
