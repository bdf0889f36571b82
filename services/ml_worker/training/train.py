"""`python -m services.ml_worker.training.train`: images and ImageNet weights in, a bundle out.

The base stays frozen, so every image goes through it once and the head is trained on what comes out.
`--data` holds `Training/` and `Testing/`, a folder per class in each; `--external` may name a further set
from elsewhere, which is only ever evaluated.
"""

import argparse
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras

from services.ml_worker.model import CARD, Model, ModelFile, Parity, SetMetrics, Variant
from services.ml_worker.training import card, evaluate
from services.ml_worker.training.data import Sample, batches, labels, list_samples, load_images, split
from services.ml_worker.training.export import export
from services.ml_worker.training.network import build_backbone, build_embedder, build_head, explain

VALIDATION_SHARE = 0.1
#: How many training images show int8 the ranges it must cover.
CALIBRATION_IMAGES = 100
BATCH = 64
MAX_EPOCHS = 40
#: Epochs without a better validation loss before training stops.
PATIENCE = 4

log = logging.getLogger("training")


def main(argv: Sequence[str] | None = None) -> None:
    """Train, export, evaluate, and write the bundle to `--out`/<name>/<version>."""
    arguments = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keras.utils.set_random_seed(arguments.seed)
    tf.config.experimental.enable_op_determinism()
    training, validation = split(list_samples(arguments.data / "Training"), VALIDATION_SHARE, arguments.seed)
    network = train(training, validation, arguments.weights)
    contents = export(network, load_images(training[:CALIBRATION_IMAGES]))
    sets = {"validation": (validation, card.VALIDATION_SPLIT)}
    sets["testing"] = (list_samples(arguments.data / "Testing"), card.TESTING_SPLIT)
    if arguments.external:
        sets["external"] = (list_samples(arguments.external), card.EXTERNAL_SPLIT)
    write_bundle(arguments.out / card.NAME / arguments.version, contents, sets, _command(arguments))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train", description="Train and export a bundle.")
    parser.add_argument("--data", type=Path, required=True, help="folder with Training/ and Testing/")
    parser.add_argument("--weights", type=Path, required=True, help="MobileNetV2 ImageNet weights, no top")
    parser.add_argument("--out", type=Path, required=True, help="folder that bundles are written to")
    parser.add_argument("--external", type=Path, help="a set from elsewhere, for evaluation only")
    parser.add_argument("--version", default="0.1.0", help="version of the bundle (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of split and training (default: %(default)s)")
    return parser.parse_args(argv)


def _command(arguments: argparse.Namespace) -> str:
    """The command as anybody would repeat it: without this machine's paths."""
    external = " --external DIR" if arguments.external else ""
    return (
        f"python -m {__spec__.name} --data DIR --weights FILE --out DIR{external}"
        f" --version {arguments.version} --seed {arguments.seed}"
    )


def train(training: list[Sample], validation: list[Sample], weights: Path) -> keras.Model:
    """The network to export, its head trained on `training` until `validation` stops getting better."""
    backbone = build_backbone(weights)
    embedder = build_embedder(backbone)
    head = build_head()
    head.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    head.fit(
        embed(embedder, training),
        labels(training),
        validation_data=(embed(embedder, validation), labels(validation)),
        epochs=MAX_EPOCHS,
        batch_size=BATCH,
        callbacks=[keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)],
        verbose=2,
    )
    return explain(backbone, head)


def embed(embedder: keras.Model, samples: list[Sample]) -> NDArray[np.float32]:
    """[n, 1280]: every image through the frozen base, once."""
    log.info("features of %d images", len(samples))
    return np.concatenate([embedder(batch, training=False).numpy() for batch in batches(samples, BATCH)])


def write_bundle(
    folder: Path, contents: dict[Variant, bytes], sets: dict[str, tuple[list[Sample], str]], command: str
) -> None:
    """Write the model files, measure them on each of `sets` (name -> images, what they are), write the card."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {variant: _write_model(folder / card.FILES[variant], contents[variant]) for variant in contents}
    metrics, parity = {}, {}
    for name, (samples, description) in sets.items():
        metrics[name], parity[name] = measure(contents, samples, description)
        log.info("%s: %s; %s", name, metrics[name], parity[name])
    written = card.new_card(folder.name, files, metrics, parity, command)
    (folder / CARD).write_text(written.model_dump_json(indent=2) + "\n")


def _write_model(path: Path, content: bytes) -> ModelFile:
    path.write_bytes(content)
    return ModelFile(file=path.name, sha256=hashlib.sha256(content).hexdigest())


def measure(
    contents: dict[Variant, bytes], samples: list[Sample], description: str
) -> tuple[SetMetrics, Parity]:
    """The int8 variant's figures on `samples`, and how they differ from float32's."""
    truth = labels(samples)
    int8, float32 = (
        evaluate.p_positive(Model(contents[variant], threads=1), samples, card.TEMPERATURE)
        for variant in (Variant.INT8, Variant.FLOAT32)
    )
    return (
        evaluate.set_metrics(truth, int8, card.THRESHOLD, description),
        evaluate.parity(truth, int8, float32, card.THRESHOLD),
    )


if __name__ == "__main__":
    main()
