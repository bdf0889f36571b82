"""Epochs of augmented views: every image once an epoch, those of small sources several times, each time anew."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.ml_worker.training.augment import augment
from services.ml_worker.training.frozen import Middle
from services.ml_worker.training.pixels import Grey


@dataclass(frozen=True)
class Epoch:
    """One epoch's views after the frozen part."""

    middle: Middle
    #: [m]: which image each view shows.
    owner: NDArray[np.int64]


class Views:
    """Makes each epoch's views once; every fold that asks again gets the same ones."""

    def __init__(
        self, pixels: Grey, repeats: Sequence[float], lower: Callable[[Grey], Middle], *, seed: int
    ) -> None:
        """`repeats`: how often each image is seen in an epoch; 0.5 is every other epoch."""
        self._pixels = pixels
        self._repeats = np.array(repeats)
        self._lower = lower
        self._seed = seed
        self._made: dict[int, Epoch] = {}

    def epoch(self, number: int) -> Epoch:
        """The views of epoch `number`, the same for the same seed."""
        if number not in self._made:
            owner = self._owners(number)
            with ThreadPoolExecutor(2) as pool:
                views = list(
                    pool.map(lambda place: self._view(number, place, int(owner[place])), range(len(owner)))
                )
            self._made[number] = Epoch(self._lower(np.stack(views)), owner)
        return self._made[number]

    def _owners(self, number: int) -> NDArray[np.int64]:
        """The images of one epoch: with repeats r below 1, each image has its turn every 1/r epochs."""
        turns = np.maximum(1, np.round(1 / self._repeats)).astype(np.int64)
        images = np.arange(len(self._pixels))
        due = images % turns == number % turns
        return np.repeat(images, np.where(due, np.maximum(1, self._repeats), 0).astype(np.int64))

    def _view(self, number: int, place: int, owner: int) -> Grey:
        rng = np.random.default_rng((self._seed, number, place))
        return np.asarray(augment(Image.fromarray(self._pixels[owner]), rng))
