"""What training is worth on images it never saw: grouped cross-validation, logits of every image held out once.

Repeated with other seeds of folds and networks it also says how much of a figure is chance.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tensorflow import keras

from services.ml_worker.training import network
from services.ml_worker.training.fit import Labels, Material, Plan, embed, fine_tune, fit_head
from services.ml_worker.training.frozen import Middle

log = logging.getLogger("training")


@dataclass(frozen=True)
class HeldOut:
    """Out-of-fold logits after each epoch."""

    #: [epochs, n, 2]
    logits: NDArray[np.float32]
    #: [n]: the fold each image was held out in.
    fold: NDArray[np.int64]

    def only(self, epoch: int) -> "HeldOut":
        """As if this epoch had been the only one."""
        return HeldOut(self.logits[epoch : epoch + 1], self.fold)


def best_epoch(runs: Sequence[HeldOut], labels: Labels, chosen: NDArray[np.bool_]) -> int:
    """Early stopping by what was held out: the epoch with the least mean log-loss on the `chosen` images."""
    sign = np.where(labels[chosen] == 1, 1, -1)
    margins = np.stack([np.diff(run.logits[:, chosen], axis=2)[..., 0] * sign for run in runs])
    return int(np.logaddexp(0, -margins).mean(axis=(0, 2)).argmin())


@dataclass(frozen=True)
class Start:
    """Where every fold starts from."""

    #: A fresh upper part with ImageNet weights.
    upper: Callable[[], keras.Model]
    #: Middle maps of the plain images [n, ...], and of the embeddings of the first epoch's views.
    plain: Middle
    embeddings: NDArray[np.float32]


def start(upper: Callable[[], keras.Model], plain: Middle, material: Material) -> Start:
    """Steps one and two of four: every view of the first epoch through the frozen network, once."""
    embeddings = embed(network.embedder(upper()), material.views.epoch(0).middle)
    return Start(upper, plain, embeddings)


def begin(
    origin: Start, material: Material, chosen: NDArray[np.bool_]
) -> tuple[keras.Model, keras.Sequential]:
    """Step three: the upper part as it came, and a head trained on the `chosen` images."""
    owner = material.views.epoch(0).owner
    rows = chosen[owner]
    owners = owner[rows]
    head = fit_head(origin.embeddings[rows], material.labels[owners], material.weights[owners])
    return origin.upper(), head


def cross_validate(origin: Start, material: Material, fold: NDArray[np.int64], plan: Plan) -> HeldOut:
    """Train one model a fold on the other folds and keep what it says of its own."""
    logits = np.zeros((plan.epochs, len(fold), 2), np.float32)
    for number in range(int(fold.max()) + 1):
        held = fold == number
        log.info("fold %d: %d images to train on, %d held out", number + 1, (~held).sum(), held.sum())
        keras.utils.set_random_seed(plan.seed * 100 + number)
        model = network.classifier(*begin(origin, material, ~held))
        for epoch, _ in fine_tune(model, material, ~held, plan):
            logits[epoch, held] = embed(model, origin.plain[held])
            _report(logits[epoch], material.labels, held)
    return HeldOut(logits, fold)


def _report(logits: NDArray[np.float32], labels: Labels, held: NDArray[np.bool_]) -> None:
    margin = np.diff(logits[held])[:, 0]
    log.info("  held out: accuracy %.3f", ((margin > 0) == labels[held]).mean())
