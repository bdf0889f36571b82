"""`python -m services.ml_worker.training.train`: images and ImageNet weights in, a bundle out, or the reasons why not.

Prepare -> grouped cross-validation -> doubt fitted to what was held out -> one network trained on everything, or the
average of several that were -> LiteRT files -> figures -> gate -> bundle. Exit status 3 when the gate refuses.
`--amend` instead adds figures to the card of a bundle that is there.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow import keras

from services.ml_worker.training import about, bundle, compare, doubt, figures, kept, splits
from services.ml_worker.training.amend import amend
from services.ml_worker.training.backbones import BACKBONES
from services.ml_worker.training.card import new_card
from services.ml_worker.training.crossval import best_epoch
from services.ml_worker.training.export import export
from services.ml_worker.training.fit import Plan
from services.ml_worker.training.groups import NEAR
from services.ml_worker.training.network import Member, classifier
from services.ml_worker.training.pixels import as_batch
from services.ml_worker.training.prepare import Images, prepare
from services.ml_worker.training.workshop import Workshop, held_out
from shared.errors import SetupError

#: How many training images show int8 the ranges it must cover.
CALIBRATION_IMAGES = 120
EXIT_REFUSED = 3

log = logging.getLogger("training")


def main(argv: Sequence[str] | None = None) -> None:
    """Train, export, evaluate, and promote the bundle to `--out`/<name>/<version> or refuse to."""
    arguments = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    keras.utils.set_random_seed(arguments.seed)
    if arguments.repeatable:
        tf.config.experimental.enable_op_determinism()
    try:
        folder = amend(arguments) if arguments.amend else make(arguments)
    except bundle.RefusedError as refused:
        log.error("not promoted:\n%s", "\n".join(f"  - {reason}" for reason in refused.args))  # noqa: TRY400  # the reasons are the message, the trace is none
        sys.exit(EXIT_REFUSED)
    except SetupError as error:
        sys.exit(f"mediscan: {error}")
    log.info("%s: %s", "amended" if arguments.amend else "promoted", folder)


def make(arguments: argparse.Namespace) -> Path:
    """The whole way from images to a promoted bundle; RefusedError where the gate says no."""
    words = about.read(arguments.about)
    others = [compare.read(folder, words) for folder in arguments.compare]
    images = prepare([arguments.data, *arguments.mixed], arguments.near)
    keep = arguments.near_test == "keep"
    apart = splits.trainable(images.samples, images.groups)
    trained = splits.trainable(images.samples, images.groups, keep=keep)
    material = images.only(apart)
    workshop = Workshop(material, arguments)
    chosen = words.judges(material.sources)
    runs = held_out(workshop, chosen, arguments)
    best = best_epoch(runs, material.labels, chosen)
    judged = figures.held_out(workshop, runs, best)
    sources = ", ".join(np.unique(material.sources[chosen]))
    readings = judged.only(np.tile(chosen, judged.readings))
    fitted = doubt.fit(readings, figures.JUDGED.format(sources=sources))
    last = Workshop(images.only(trained), arguments) if keep else workshop
    members = _members(last, best + 1, arguments)
    contents = export(last.explain(members), as_batch(_examples(material, arguments.seed)))
    card = new_card(
        words,
        arguments.version,
        architecture=_title(workshop.backbone.title, len(members)),
        files=bundle.described(contents),
        doubt=fitted,
        training_command=command(arguments),
    )
    if arguments.leave_one_source_out:
        card = card.model_copy(update={"metrics": figures.left_out(workshop, card, best + 1)})
    tested = figures.test_sets(images, trained, keep=keep)
    card = figures.measured(card, contents, tested, judged, material, outliers=arguments.outliers)
    seeds = range(arguments.seed, arguments.seed + len(runs))
    card = card.model_copy(update={"repeats": figures.repeats(material, runs, best, seeds)})
    card = card.model_copy(update={"comparison": (compare.row(card, contents, words), *others)})
    return bundle.release(arguments.out, card, contents)


def _members(workshop: Workshop, epochs: int, arguments: argparse.Namespace) -> list[Member]:
    """The networks to export; more than one for an ensemble."""
    if arguments.ensemble:
        return [workshop.resume(folder, 0) for folder in arguments.ensemble]
    folder: Path | None = arguments.keep
    if folder is not None and (folder / kept.NETWORK).exists():
        member = workshop.resume(folder, arguments.final_epochs or 0)
    else:
        member = workshop.train(arguments.final_epochs or epochs)
    if folder is not None:
        kept.save_network(folder, classifier(*member))
    return [member]


def _title(backbone: str, members: int) -> str:
    return f"average of {members}: {backbone}" if members > 1 else backbone


def _examples(material: Images, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Of every source alike, so that int8 covers the ranges of each."""
    weight = splits.source_weights(material.samples)
    count = min(CALIBRATION_IMAGES, len(weight))
    rng = np.random.default_rng(seed)
    return material.pixels[rng.choice(len(weight), count, replace=False, p=weight / weight.sum())]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train", description="Train, judge and export a bundle.")
    usual = Plan()
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder-per-class tree or CSV manifest")
    add("--mixed", type=Path, nargs="*", default=[], help="further sources, of mixed origin")
    add("--repeat", type=int, default=8, help="views of a mixed image per epoch (default: %(default)s)")
    add("--share", type=float, default=1.0, help="of the other images seen per epoch (default: %(default)s)")
    add("--weights", type=Path, help="ImageNet weights of the backbone, no top; without: from scratch")
    add("--backbone", choices=sorted(BACKBONES), default="mobilenetv2")
    add("--out", type=Path, required=True, help="folder that bundles are written to")
    add("--about", default="brain-mri", help="words for the card (default: %(default)s)")
    add("--version", default="0.4.0", help="of the bundle (default: %(default)s)")
    add("--outliers", type=Path, nargs="*", default=[], help="images of another kind, to try the OOD gate on")
    add(
        "--near",
        type=int,
        default=NEAR,
        help="bits of hash within which images are one group (default: %(default)s)",
    )
    add(
        "--near-test",
        choices=("drop", "keep"),
        default="drop",
        help="whether the final network learns from them too",
    )
    add(
        "--final-epochs",
        type=int,
        help="of the final training (default: where cross-validation was best; none from weights in --keep)",
    )
    add("--keep", type=Path, help="folder to keep held-out logits and weights in, and to go on from")
    add("--folds", type=int, default=3, help="of the cross-validation (default: %(default)s)")
    add(
        "--seeds",
        type=int,
        default=1,
        help="how many cross-validations, from --seed on (default: %(default)s)",
    )
    add("--leave-one-source-out", action="store_true", help="also train without each source and judge on it")
    add("--ensemble", type=Path, nargs="*", default=[], help="--keep folders to average, instead of training")
    add("--amend", type=Path, help="bundle folder: only add what the flags above and below find to its card")
    add("--curves", action="store_true", help="with --amend: ROC and reliability of the test images")
    add("--compare", type=Path, nargs="*", default=[], help="bundle folders for the card's comparison")
    add("--epochs", type=int, default=usual.epochs, help="of fine-tuning, at most (default: %(default)s)")
    add("--rate", type=float, default=usual.rate, help="first learning rate (default: %(default)s)")
    add("--batch", type=int, default=usual.batch, help="(default: %(default)s)")
    add("--seed", type=int, default=0, help="of splits, views and training (default: %(default)s)")
    add("--repeatable", action="store_true", help="bit for bit the same on one machine; slower")
    arguments = parser.parse_args(argv)
    for folder in arguments.ensemble:
        if not (folder / kept.NETWORK).exists():
            parser.error(f"--ensemble: no {kept.NETWORK} in {folder}")
    return arguments


def command(arguments: argparse.Namespace) -> str:
    """The command as anybody would repeat it: without this machine's paths."""
    said = {
        name: " ".join(["PATH"] * len(value)) if isinstance(value, list) else value
        for name, value in vars(arguments).items()
        if value not in (None, False, [])
    }
    words = (f"--{name.replace('_', '-')} {'PATH' if isinstance(v, Path) else v}" for name, v in said.items())
    return " ".join(("python -m services.ml_worker.training.train", *words)).replace(" True", "")


if __name__ == "__main__":
    main()
