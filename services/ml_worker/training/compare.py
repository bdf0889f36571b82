"""Bundles side by side: what each backbone is worth on held-out images, and what it costs."""

import time
from pathlib import Path

import numpy as np

from services.ml_worker.image import NETWORK_SIDE
from services.ml_worker.model import Card, Compared, Cost, Model, Variant, load_bundle
from services.ml_worker.training import gate
from services.ml_worker.training.about import About
from shared.errors import SetupError

_RUNS = 60


def row(card: Card, contents: dict[Variant, bytes], words: About) -> Compared:
    """What a card says of its network on the images that its doubt is fitted to, and its cost on this machine.

    SetupError where it was made before cards held that.
    """
    names = [f"{gate.HELD_OUT}/{source}" for source in words.judged_on]
    name = next((name for name in names if name in card.metrics), gate.HELD_OUT)
    if name not in card.repeats:
        raise SetupError(f"The card of {card.name} {card.version} says nothing of its seeds and epochs.")
    judged, repeats = card.metrics[name], card.repeats[name]
    return Compared(
        architecture=card.architecture,
        epochs=len(repeats.by_epoch),
        seeds=len(repeats.seeds),
        n=judged.n,
        auc=judged.auc,
        auc_interval=judged.auc_interval,
        files={variant: Cost(bytes=len(content), ms=_ms(content)) for variant, content in contents.items()},
        refused=tuple(gate.reasons(card)),
    )


def read(folder: Path, words: About) -> Compared:
    """The row of a bundle on disk, promoted or refused; SetupError where it is none."""
    parts = (folder.parent.parent, folder.parent.name, folder.name)
    card = load_bundle(*parts, variant=Variant.FLOAT32).card
    contents = {variant: load_bundle(*parts, variant=variant).content for variant in card.files}
    return row(card, contents, words)


def _ms(content: bytes) -> float:
    """Median processor time of one image, one thread."""
    model = Model(content, threads=1)
    image = np.random.default_rng(0).random((1, NETWORK_SIDE, NETWORK_SIDE, 3), np.float32)
    return round(float(np.median([_once(model, image) for _ in range(_RUNS)])) * 1000, 2)


def _once(model: Model, image: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    started = time.process_time()
    model.infer(image)
    return time.process_time() - started
