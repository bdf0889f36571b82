"""What a training run leaves in its `--keep` folder, so that it can be gone on with, or be a member of an ensemble."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tensorflow import keras

from services.ml_worker.training.crossval import HeldOut
from shared.errors import SetupError

#: Held-out logits of one seed.
HELD_OUT = "held-out-{seed}.npz"
#: Weights of the network that was exported, without the frozen part.
NETWORK = "network.npz"

log = logging.getLogger("training")


def cross_validated(
    folder: Path | None, seed: int, images: int, cross_validate: Callable[[], HeldOut]
) -> HeldOut:
    """From `folder` where it is there; else made now, and kept there where a folder is named.

    SetupError where what is kept is of another number of images.
    """
    file = None if folder is None else folder / HELD_OUT.format(seed=seed)
    if file is not None and file.exists():
        log.info("cross-validation taken from %s", file)
        return read(file, images)
    made = cross_validate()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, logits=made.logits, fold=made.fold)
    return made


def read(file: Path, images: int) -> HeldOut:
    """One seed's held-out logits; SetupError where they are of another number of images."""
    with np.load(file) as found:
        held_out = HeldOut(found["logits"], found["fold"])
    if len(held_out.fold) != images:
        raise SetupError(f"{file} is of {len(held_out.fold)} images, here are {images}.")
    return held_out


def runs(folder: Path, images: int) -> list[HeldOut]:
    """Every seed that is kept in `folder`, in order."""
    files = folder.glob(HELD_OUT.format(seed="*"))
    return [read(file, images) for file in sorted(files, key=lambda file: int(file.stem.rpartition("-")[2]))]


def save_network(folder: Path, model: keras.Model) -> None:
    """Keep the weights of `model`, in Keras's order."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / NETWORK, *model.get_weights())


def load_network(folder: Path, model: keras.Model) -> None:
    """Give `model` the weights kept in `folder`; SetupError where they are of another network."""
    with np.load(folder / NETWORK) as found:
        weights = [found[name] for name in found.files]
    try:
        model.set_weights(weights)
    except ValueError as error:
        raise SetupError(f"{folder / NETWORK} is of another network.") from error
