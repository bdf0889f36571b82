"""Epochs of views: who is seen how often, made once, the same for the same seed."""

import numpy as np

from services.ml_worker.training.pixels import Grey
from services.ml_worker.training.views import Views

PIXELS = np.random.default_rng(0).integers(0, 255, (4, 224, 224)).astype(np.uint8)


def views(repeats: tuple[float, ...] = (1, 1, 1, 1), seed: int = 0) -> Views:
    def lower(pixels: Grey) -> np.ndarray:
        return pixels[:, :2, :2, np.newaxis].astype(np.float16)

    return Views(PIXELS, repeats, lower, seed=seed)


def test_repeats_say_how_often_an_image_is_seen() -> None:
    assert views((1, 3, 1, 2)).epoch(0).owner.tolist() == [0, 1, 1, 1, 2, 3, 3]


def test_half_of_the_images_have_their_turn_every_other_epoch() -> None:
    made = views((0.5, 0.5, 0.5, 2))
    assert made.epoch(0).owner.tolist() == [0, 2, 3, 3]
    assert made.epoch(1).owner.tolist() == [1, 3, 3]


def test_an_epoch_is_made_once_and_repeats_itself_for_the_same_seed() -> None:
    made = views()
    assert made.epoch(0) is made.epoch(0)
    assert (made.epoch(0).middle == views().epoch(0).middle).all()
    assert (made.epoch(0).middle != made.epoch(1).middle).any()
    assert (made.epoch(0).middle != views(seed=1).epoch(0).middle).any()
