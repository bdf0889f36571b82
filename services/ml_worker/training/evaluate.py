"""`python -m services.ml_worker.training.evaluate`: a bundle and images in, an HTML report and a JSON file out.

Reads every image with the shipped file, decoding and all thresholds as they serve. With `--train`, the sources it
was trained on, images without a copy there and those without anything near there are counted apart. What only
training can find out, cross-validation and leaving a source out, the report takes from the bundle's card.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.ml_worker.model import Bundle, Card, Model, load_bundle
from services.ml_worker.training import charts, figures, metrics, robustness, sanity, sections
from services.ml_worker.training.data import read_source
from services.ml_worker.training.gate import HELD_OUT
from services.ml_worker.training.groups import COPY, NEAR, dhash, distances
from services.ml_worker.training.prepare import Images, prepare
from services.ml_worker.training.scored import Scored, judge, scale_of, score

#: Images for the robustness curves and the heatmap checks: each is read some thirty times.
_FEW = 200

log = logging.getLogger("training")


@dataclass(frozen=True)
class Part:
    """A named part of the images."""

    name: str
    mask: NDArray[np.bool_]
    what: str


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate and write `report.html` and `report.json` to `--out`."""
    arguments = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    folder: Path = arguments.model
    bundle = load_bundle(folder.parent.parent, folder.parent.name, folder.name, arguments.variant)
    found, pictures = evaluate(bundle, *_read(arguments), arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "report.json").write_text(json.dumps(found, indent=2) + "\n")
    (arguments.out / "report.html").write_text(sections.page(found, pictures))
    log.info("written: %s", arguments.out / "report.html")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="evaluate", description="Judge a bundle on images.")
    add = parser.add_argument
    add("--model", type=Path, required=True, help="bundle folder, <name>/<version>")
    add("--data", type=Path, nargs="+", required=True, help="folder-per-class trees or CSV manifests")
    add("--out", type=Path, required=True, help="folder for report.html and report.json")
    add("--split", choices=("train", "test"), help="only this side of the published split")
    add(
        "--train", type=Path, nargs="*", default=[], help="what it was trained on, to find near-duplicates of"
    )
    add("--outliers", type=Path, nargs="*", default=[], help="images of another kind, for the OOD gate")
    add("--masks", type=Path, help="folder of lesion masks, named like their images, for pointing accuracy")
    add("--variant", choices=("int8", "float32"), default="int8", help="(default: %(default)s)")
    add("--near", type=int, default=NEAR, help="bits of hash within which images are one group")
    return parser.parse_args(argv)


def _read(arguments: argparse.Namespace) -> tuple[Images, Images | None]:
    """The images to judge on, and those trained on, if named: grouped together, as training groups them."""
    every = prepare(list(dict.fromkeys([*arguments.train, *arguments.data])), arguments.near)
    judged, trained = (_of(every, paths) for paths in (arguments.data, arguments.train))
    split = np.array([sample.split for sample in every.samples])
    wanted = judged & (split == arguments.split) if arguments.split else judged
    return every.only(wanted), every.only(trained & (split == "train")) if arguments.train else None


def _of(images: Images, paths: Sequence[Path]) -> NDArray[np.bool_]:
    files = {sample.path for path in paths for sample in read_source(path)}
    return np.array([sample.path in files for sample in images.samples])


def evaluate(
    bundle: Bundle, images: Images, trained: Images | None, arguments: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """All figures, ready for JSON, and the pictures of each section."""
    model = bundle.open(threads=2)
    scored = score(model, images.pixels, images.labels, images.groups)
    parts = _parts(images, trained)
    few = np.random.default_rng(0).permutation(len(images.samples))[:_FEW]
    curves = robustness.curves(model, bundle.card, scored.only(few), images.pixels[few])
    found = {
        "model": bundle.ref.model_dump(),
        "sets": {
            part.name: judge(scored.only(part.mask), bundle.card, part.what).model_dump() for part in parts
        },
        "outliers": _outliers(bundle, model, scored, arguments.outliers),
        "robustness": {name: [asdict(point) for point in points] for name, points in curves.items()},
        "heatmap": _heatmap(bundle, model, images, few, arguments.masks),
        "training": _from_the_card(bundle.card),
        "skipped": list(images.refused),
    }
    pictures = {part.name: _pictures(scored.only(part.mask), bundle) for part in parts}
    pictures["robustness"] = [
        charts.against_strength(
            name,
            [point.strength for point in points],
            [("AUC", [p.auc for p in points]), ("accuracy", [p.accuracy for p in points])],
        )
        for name, points in curves.items()
    ]
    return found, pictures


def _parts(images: Images, trained: Images | None) -> list[Part]:
    """Everything, what has no copy in `--train`, what has nothing near there, and each source."""
    everything = np.ones(len(images.samples), dtype=np.bool_)
    parts = [Part("all", everything, "every image, as published")]
    if trained is not None:
        nearest = distances(dhash(images.pixels), dhash(trained.pixels)).min(axis=1)
        apart = ~np.isin(images.groups, trained.groups)
        named = (
            Part(
                "deduplicated", nearest > COPY, f"without copies (within {COPY} bits) of an image of --train"
            ),
            Part("strict", apart, "without any image in one cluster with an image of --train"),
        )
        parts += [part for part in named if part.mask.any()]
    sources = np.unique(images.sources)
    if len(sources) > 1:
        parts += [Part(f"source {source}", images.sources == source, source) for source in sources]
    return parts


def _from_the_card(card: Card) -> dict[str, Any]:
    """What training found out with networks that this bundle does not hold."""
    told = {name: got.model_dump() for name, got in card.metrics.items()}
    return {
        "leave one source out": {
            name: got for name, got in told.items() if name.startswith(figures.LEFT_OUT)
        },
        "cross-validation": {name: got for name, got in told.items() if name.startswith(HELD_OUT)},
        "seeds": {name: got.model_dump() for name, got in card.repeats.items()},
        "comparison": [got.model_dump() for got in card.comparison],
    }


def _outliers(
    bundle: Bundle, model: Model, inside: Scored, paths: Sequence[Path]
) -> dict[str, dict[str, float]]:
    sets = {"drawn": figures.drawn_pixels(), **{path.stem: figures.outlier_pixels(path) for path in paths}}
    right_kind = inside.ood_scores(bundle.card.ood)
    found = {}
    for name, pixels in sets.items():
        nobody = np.zeros(len(pixels), dtype=np.int64)
        outside = score(model, pixels, nobody, nobody).ood_scores(bundle.card.ood)
        truth = np.repeat([0, 1], [len(right_kind), len(outside)])
        auroc = metrics.auc(truth, np.concatenate([right_kind, outside]))
        caught, passed = float((outside > 1).mean()), float((right_kind <= 1).mean())
        found[name] = {"n": len(pixels), "auroc": auroc, "caught": caught, "right kind passed": passed}
    return found


def _heatmap(
    bundle: Bundle, model: Model, images: Images, few: NDArray[np.int64], masks: Path | None
) -> dict[str, float]:
    pixels = images.pixels[few]
    found = {
        "completeness, largest error (logits)": sanity.completeness_error(bundle.content, pixels),
        "correlation with the maps of a shuffled head": sanity.randomisation_similarity(
            bundle.content, pixels
        ),
    }
    if masks is not None:
        found["pointing accuracy"] = sanity.pointing(model, images, masks)
    return found


def _pictures(scored: Scored, bundle: Bundle) -> list[str]:
    card = bundle.card
    p, truth = scored.p_positive(scale_of(card)), scored.truth
    said, seen, _ = metrics.reliability(truth, p)
    return [
        charts.curves(
            "ROC", ("1 - specificity", "sensitivity"), [_curve(*metrics.roc(truth, p))], diagonal=True
        ),
        charts.curves(
            "Precision-recall", ("recall", "precision"), [_curve(*metrics.precision_recall(truth, p))]
        ),
        charts.curves("Reliability", ("said", "seen"), [_curve(said, seen)], diagonal=True),
        charts.confusion(f"At threshold {card.threshold}", metrics.rates(truth, p, card.threshold)),
    ]


def _curve(x: NDArray[np.float64], y: NDArray[np.float64]) -> charts.Curve:
    return "", list(zip(x.tolist(), y.tolist(), strict=True))


if __name__ == "__main__":
    main()
