"""The figures on a card: of the held-out folds, of the test images read by the shipped int8 file, and of outliers."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.ml_worker.image import preprocess
from services.ml_worker.model import Card, Model, Parity, Repeats, SetMetrics, Variant
from services.ml_worker.training import bundle, data, drawn, groups, metrics, pixels, splits
from services.ml_worker.training.crossval import HeldOut
from services.ml_worker.training.gate import HELD_OUT
from services.ml_worker.training.parity import parity
from services.ml_worker.training.pixels import Grey
from services.ml_worker.training.prepare import Images
from services.ml_worker.training.scored import Scored, judge, pooled, score
from services.ml_worker.training.workshop import Workshop

JUDGED = "grouped cross-validation, held-out folds of {sources}"
_FOLDS = (
    "grouped cross-validation: each image read, once for each of {seeds} seeds, by a network that was trained without"
    " its group (float, Keras)"
)
#: Name on the card, for each source that was left out, and how it was read.
LEFT_OUT = "leave_one_source_out"
_WITHOUT = "read by a network that was trained without this source and without anything near it; {form} (float, Keras)"
_FORMS = {"frozen": "head on frozen features", "fine-tuned": "fine-tuned like the shipped one"}
PUBLISHED = "the published test split, read by the shipped int8 file"
CLEAN = "the published test split without copies (hashes within 4 bits) of training images; shipped int8 file"
STRICT = "the published test split without any image in one cluster with a training image; shipped int8 file"
_PARITY_IMAGES = 200
_DRAWN_EACH = 25

#: A name for the card, the images, and what they are.
TestSet = tuple[str, Images, str]

log = logging.getLogger("training")


def held_out(workshop: Workshop, runs: Sequence[HeldOut], epoch: int) -> Scored:
    """What the folds of every seed said, after this epoch, of the images they did not see."""
    images = workshop.images
    return pooled(
        [
            Scored(images.labels, images.groups, run.logits[epoch], workshop.kind.held_out(run.fold))
            for run in runs
        ]
    )


def repeats(images: Images, runs: Sequence[HeldOut], epoch: int, seeds: Sequence[int]) -> dict[str, Repeats]:
    """Held-out AUC by seed and by epoch, of all images and of each source's."""
    margins = np.stack([np.diff(run.logits, axis=2)[..., 0] for run in runs])
    found = {}
    for name, mask in _parts(images):
        aucs = np.array(
            [[metrics.auc(images.labels[mask], one[mask]) for one in epochs] for epochs in margins]
        ).round(4)
        by_epoch = aucs.mean(axis=0).round(4)
        found[name] = Repeats(
            seeds=tuple(seeds), auc=tuple(aucs[:, epoch].tolist()), by_epoch=tuple(by_epoch.tolist())
        )
    return found


def left_out(workshop: Workshop, card: Card, epochs: int) -> dict[str, SetMetrics]:
    """For every source with both classes: what networks trained without it say of it."""
    images = workshop.images
    found = {}
    for source in np.unique(images.sources):
        truth = images.labels[images.sources == source]
        if len(np.unique(truth)) > 1:
            for form, scored in zip(_FORMS, workshop.without(source, epochs), strict=False):
                name = f"{LEFT_OUT}/{source}/{form}"
                found[name] = _said(name, judge(scored, card, _WITHOUT.format(form=_FORMS[form])))
    return found


def measured(
    card: Card,
    contents: dict[Variant, bytes],
    tests: Sequence[TestSet],
    judged: Scored,
    material: Images,
    *,
    outliers: Sequence[Path],
) -> Card:
    """The card with its figures; those of networks trained without a source, if any, are already there."""
    models = bundle.opened(contents)
    found = {**_held_out_metrics(judged, material, card), **card.metrics}
    parities: dict[str, Parity] = {}
    for name, tested, what in tests:
        int8, float32 = (_score(models[variant], tested) for variant in (Variant.INT8, Variant.FLOAT32))
        found[name] = _said(name, judge(int8, card, what))
        parities[name] = parity(int8, float32, card)
    some = material.only(_some(material))
    int8, float32 = (_score(models[variant], some) for variant in (Variant.INT8, Variant.FLOAT32))
    parities["training"] = parity(int8, float32, card)
    gate = card.ood.model_copy(update={"auroc": _auroc(models[Variant.INT8], card, judged, outliers)})
    log.info("parity: %s\nood: %s", parities, gate)
    return card.model_copy(update={"metrics": found, "parity": parities, "ood": gate})


def _held_out_metrics(judged: Scored, material: Images, card: Card) -> dict[str, SetMetrics]:
    what = _FOLDS.format(seeds=judged.readings)
    return {
        name: _said(name, judge(judged.only(np.tile(mask, judged.readings)), card, what))
        for name, mask in _parts(material)
    }


def _parts(material: Images) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """All images, and where there are several sources each one's."""
    yield HELD_OUT, np.ones(len(material.samples), dtype=np.bool_)
    sources = np.unique(material.sources)
    for source in sources if len(sources) > 1 else ():
        yield f"{HELD_OUT}/{source}", material.sources == source


def _said(name: str, got: SetMetrics) -> SetMetrics:
    log.info("%s: %s", name, got.model_dump_json(exclude={"split"}))
    return got


def test_sets(images: Images, trained: NDArray[np.bool_], *, keep: bool) -> list[TestSet]:
    """The published test split, and what is left of it without copies, and without anything near, in training."""
    every = splits.in_test(images.samples)
    if not every.any():
        return []
    copied = np.zeros(len(every), dtype=np.bool_)
    hashes = groups.dhash(images.pixels)
    copied[every] = groups.distances(hashes[every], hashes[trained]).min(axis=1) <= groups.COPY
    strict = splits.clean_test(images.samples, images.groups, keep=keep)
    named = (
        ("testing", every, PUBLISHED),
        ("testing_deduplicated", every & ~copied, CLEAN),
        ("testing_strict", strict, STRICT),
    )
    return [(name, images.only(mask), what) for name, mask, what in named if mask.any()]


def _some(material: Images) -> NDArray[np.bool_]:
    """A few training images of every source alike."""
    weight = splits.source_weights(material.samples)
    count = min(_PARITY_IMAGES, len(weight))
    drawn_ones = np.random.default_rng(0).choice(len(weight), count, replace=False, p=weight / weight.sum())
    mask = np.zeros(len(weight), dtype=np.bool_)
    mask[drawn_ones] = True
    return mask


def _score(model: Model, images: Images) -> Scored:
    return score(model, images.pixels, images.labels, images.groups)


def _auroc(model: Model, card: Card, judged: Scored, outliers: Sequence[Path]) -> dict[str, float]:
    """How well the OOD score tells each set of outliers from the held-out images of the right kind."""
    inside = judged.ood_scores(card.ood)
    sets = {"drawn": drawn_pixels(), **{path.stem: outlier_pixels(path) for path in outliers}}
    return {name: round(_separation(inside, _ood(model, card, images)), 4) for name, images in sets.items()}


def _separation(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    truth = np.repeat([0, 1], [len(inside), len(outside)])
    log.info("  of %d outliers %.3f are over the limit", len(outside), (outside > 1).mean())
    return metrics.auc(truth, np.concatenate([inside, outside]))


def _ood(model: Model, card: Card, images: Grey) -> NDArray[np.float64]:
    nobody = np.zeros(len(images), dtype=np.int64)
    return score(model, images, nobody, nobody).ood_scores(card.ood)


def drawn_pixels(each: int = _DRAWN_EACH) -> Grey:
    """Every kind of drawn outlier, as the network would see it."""
    batches = [preprocess(picture)[0] for _, picture in drawn.outliers(each)]
    grey = [Image.fromarray((batch * 255).round().astype(np.uint8)).convert("L") for batch in batches]
    return np.stack([np.asarray(picture) for picture in grey])


def outlier_pixels(path: Path, most: int = 200) -> Grey:
    """Images of another source, evenly drawn from all of it."""
    samples = data.read_source(path)
    return pixels.load(samples[:: max(1, len(samples) // most)]).pixels
