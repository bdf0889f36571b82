"""Further figures for the card of a bundle that is made already: seeds, a source left out, other bundles beside it.

All are about the recipe, not about the network, and take hours where the bundle is there to be used.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from services.ml_worker.model import CARD, Card, Compared, Repeats, load_bundle
from services.ml_worker.training import about, compare, ensemble, figures, splits
from services.ml_worker.training.crossval import HeldOut, best_epoch
from services.ml_worker.training.gate import HELD_OUT
from services.ml_worker.training.prepare import prepare
from services.ml_worker.training.scored import judge, score
from services.ml_worker.training.workshop import Workshop, held_out
from shared.errors import SetupError

#: What stands in place of the gate's word for a network that was never put together.
_NOT_EXPORTED = "held-out figures alone: not exported"

log = logging.getLogger("training")


def amend(arguments: argparse.Namespace) -> Path:
    """Write what the flags of `arguments` find into the card in `--amend`; SetupError if it is none.

    `--leave-one-source-out` and `--compare` as for a new bundle; `--curves` is for one from before cards held them.
    Seeds that the card does not have are added to it; where there are several of them, the average of their networks
    is one more row of the comparison.
    """
    folder: Path = arguments.amend
    card = load_bundle(folder.parent.parent, folder.parent.name, folder.name).card
    words = about.read(arguments.about)
    others = tuple(compare.read(other, words) for other in arguments.compare)
    card = card.model_copy(update={"comparison": (*card.comparison, *others)})
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    are_new = not set(seeds) & set(card.repeats[HELD_OUT].seeds)
    if arguments.leave_one_source_out or are_new:
        card = _again(card, words, arguments, seeds if are_new else ())
    if arguments.curves:
        card = _drawn(card, folder, arguments)
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    return folder


def _again(card: Card, words: about.About, arguments: argparse.Namespace, seeds: Sequence[int]) -> Card:
    images = prepare([arguments.data, *arguments.mixed], arguments.near)
    workshop = Workshop(images.only(splits.trainable(images.samples, images.groups)), arguments)
    runs = held_out(workshop, words.judges(workshop.images.sources), arguments)
    if arguments.leave_one_source_out:
        card = _left_out(card, words, workshop, runs)
    if seeds:
        card = _repeated(card, words, workshop, runs, seeds)
    return card


def _left_out(card: Card, words: about.About, workshop: Workshop, runs: Sequence[HeldOut]) -> Card:
    """As many epochs as the cross-validation found best; the figures stand behind those of the cross-validation."""
    images = workshop.images
    best = best_epoch(runs, images.labels, words.judges(images.sources))
    first = {name: got for name, got in card.metrics.items() if name.startswith(HELD_OUT)}
    found = figures.left_out(workshop, card, best + 1)
    return card.model_copy(update={"metrics": {**first, **found, **card.metrics}})


def _repeated(
    card: Card, words: about.About, workshop: Workshop, runs: Sequence[HeldOut], seeds: Sequence[int]
) -> Card:
    images = workshop.images
    best = best_epoch(runs, images.labels, words.judges(images.sources))
    found = figures.repeats(images, runs, best, seeds)
    repeats = {name: _joined(card.repeats[name], more) for name, more in found.items()}
    rows = (_averaged(card, words, workshop, runs),) if len(runs) > 1 else ()
    return card.model_copy(update={"repeats": repeats, "comparison": (*card.comparison, *rows)})


def _joined(known: Repeats, more: Repeats) -> Repeats:
    """Seeds of two runs of equally many epochs, each judged after the epoch that was best in its run."""
    old, new = len(known.seeds), len(more.seeds)
    mean = [
        round((old * before + new * after) / (old + new), 4)
        for before, after in zip(known.by_epoch, more.by_epoch, strict=True)
    ]
    return Repeats(seeds=known.seeds + more.seeds, auc=known.auc + more.auc, by_epoch=tuple(mean))


def _averaged(card: Card, words: about.About, workshop: Workshop, runs: Sequence[HeldOut]) -> Compared:
    """What the networks of all seeds say together of the images that none of them saw."""
    images = workshop.images
    chosen = words.judges(images.sources)
    (together,) = ensemble.averaged([[run] for run in runs], images.labels, chosen)
    judged = judge(figures.held_out(workshop, [together], 0).only(chosen), card, "")
    return Compared(
        architecture=f"average of {len(runs)}: {card.architecture}",
        epochs=len(runs[0].logits),
        seeds=1,
        n=judged.n,
        auc=judged.auc,
        auc_interval=judged.auc_interval,
        files={},
        refused=(_NOT_EXPORTED,),
    )


def _drawn(card: Card, folder: Path, arguments: argparse.Namespace) -> Card:
    """Curves of the test images, as the shipped file reads them; the figures must be those that the card has."""
    images = prepare([arguments.data, *arguments.mixed], arguments.near)
    keep = arguments.near_test == "keep"
    trained = splits.trainable(images.samples, images.groups, keep=keep)
    model = load_bundle(folder.parent.parent, folder.parent.name, folder.name).open(threads=2)
    found = dict(card.metrics)
    for name, tested, what in figures.test_sets(images, trained, keep=keep):
        got = judge(score(model, tested.pixels, tested.labels, tested.groups), card, what)
        if found[name].model_copy(update={"roc": got.roc, "reliability": got.reliability}) != got:
            raise SetupError(f"the card's figures for {name} are of other images, or of another file")
        found[name] = got
    return card.model_copy(update={"metrics": found})
