"""Further figures for the card of a bundle that is made already: a source left out, and other bundles beside it.

Both are about the recipe, not about the network, and take hours where the bundle is there to be used.
"""

import argparse
import logging
from pathlib import Path

from services.ml_worker.model import CARD, Card, load_bundle
from services.ml_worker.training import about, compare, figures, splits
from services.ml_worker.training.crossval import best_epoch
from services.ml_worker.training.gate import HELD_OUT
from services.ml_worker.training.prepare import prepare
from services.ml_worker.training.workshop import Workshop, held_out

log = logging.getLogger("training")


def amend(arguments: argparse.Namespace) -> Path:
    """Write what `--leave-one-source-out` and `--compare` find into the card in `--amend`; SetupError if it is none."""
    folder: Path = arguments.amend
    card = load_bundle(folder.parent.parent, folder.parent.name, folder.name).card
    words = about.read(arguments.about)
    others = tuple(compare.read(other, words) for other in arguments.compare)
    card = card.model_copy(update={"comparison": (*card.comparison, *others)})
    if arguments.leave_one_source_out:
        card = _left_out(card, words, arguments)
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    return folder


def _left_out(card: Card, words: about.About, arguments: argparse.Namespace) -> Card:
    """As many epochs as the cross-validation found best; the figures stand behind those of the cross-validation."""
    images = prepare([arguments.data, *arguments.mixed], arguments.near)
    material = images.only(splits.trainable(images.samples, images.groups))
    workshop = Workshop(material, arguments)
    chosen = words.judges(material.sources)
    best = best_epoch(held_out(workshop, chosen, arguments), material.labels, chosen)
    first = {name: got for name, got in card.metrics.items() if name.startswith(HELD_OUT)}
    found = figures.left_out(workshop, card, best + 1)
    return card.model_copy(update={"metrics": {**first, **found, **card.metrics}})
