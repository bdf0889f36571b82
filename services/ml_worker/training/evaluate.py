"""`python -m services.ml_worker.training.evaluate`: a bundle and images in, an HTML report and a JSON file out.

Reads every image with the shipped file, decoding and all thresholds as they serve. With `--train`, the sources it
was trained on, images with a near-duplicate there are counted apart.
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

from services.ml_worker.model import Bundle, Model, load_bundle
from services.ml_worker.training import charts, figures, metrics, report, robustness, sanity
from services.ml_worker.training.groups import dhash, distances
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
    images = prepare(arguments.data, arguments.near)
    if arguments.split:
        images = images.only(np.array([sample.split == arguments.split for sample in images.samples]))
    found, pictures = evaluate(bundle, images, arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "report.json").write_text(json.dumps(found, indent=2) + "\n")
    (arguments.out / "report.html").write_text(_html(found, pictures))
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
    add("--near", type=int, default=24, help="bits of hash within which images are one group")
    return parser.parse_args(argv)


def evaluate(
    bundle: Bundle, images: Images, arguments: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """All figures, ready for JSON, and the pictures of each section."""
    model = bundle.open(threads=2)
    scored = score(model, images.pixels, images.labels, images.groups)
    parts = _parts(images, arguments)
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


def _parts(images: Images, arguments: argparse.Namespace) -> list[Part]:
    """Everything, what has no near-duplicate in `--train`, and each source."""
    everything = np.ones(len(images.samples), dtype=np.bool_)
    parts = [Part("all", everything, "every image, as published")]
    if arguments.train:
        trained = prepare(arguments.train, arguments.near)
        apart = _nearest(images, trained) > arguments.near
        if apart.any():
            parts.append(Part("deduplicated", apart, "without those near an image of --train"))
    sources = np.unique(images.sources)
    if len(sources) > 1:
        parts += [Part(f"source {source}", images.sources == source, source) for source in sources]
    return parts


def _nearest(images: Images, trained: Images) -> NDArray[np.int16]:
    """[n]: bits to the nearest image that was trained on; the test side of the same folder is none of these."""
    used = trained.only(np.array([sample.split == "train" for sample in trained.samples]))
    return np.asarray(distances(dhash(images.pixels), dhash(used.pixels)).min(axis=1))


def _outliers(
    bundle: Bundle, model: Model, inside: Scored, paths: Sequence[Path]
) -> dict[str, dict[str, float]]:
    sets = {"drawn": figures.drawn_pixels(), **{path.stem: figures.outlier_pixels(path) for path in paths}}
    right_kind = inside.ood_scores(bundle.card)
    found = {}
    for name, pixels in sets.items():
        nobody = np.zeros(len(pixels), dtype=np.int64)
        outside = score(model, pixels, nobody, nobody).ood_scores(bundle.card)
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


def _html(found: dict[str, Any], pictures: dict[str, list[str]]) -> str:
    model = found["model"]
    parts = []
    for name, figures_of in found["sets"].items():
        rows = [{"figure": key, "value": value} for key, value in figures_of.items() if key != "split"]
        parts += [report.heading(name, figures_of["split"]), report.plots(pictures[name]), report.table(rows)]
    parts += [report.heading("Images of another kind"), report.table(_named(found["outliers"]))]
    parts += [report.heading("Robustness", "Strengths from left to right as written below each plot.")]
    parts += [report.plots(pictures["robustness"])]
    heatmap = [{"check": key, "value": value} for key, value in found["heatmap"].items()]
    parts += [report.heading("Heatmap"), report.table(heatmap)]
    parts += [report.heading("Skipped", f"{len(found['skipped'])} files could not be read.")]
    return report.page(f"{model['name']} {model['version']}", parts)


def _named(rows: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    return [{"set": name, **row} for name, row in rows.items()]


if __name__ == "__main__":
    main()
