"""A bundle on its way out: files, figures, gate; then its place among the models, or among the refused."""

import hashlib
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from services.ml_worker.model import CARD, Card, Model, ModelFile, Variant
from services.ml_worker.training import gate
from services.ml_worker.training.card import FILES

#: Beside the promoted bundles: what the gate did not let through, kept to be looked at.
REFUSED = "refused"
REASONS = "reasons.txt"

log = logging.getLogger("training")


class RefusedError(Exception):
    """The gate does not let a bundle through; its reasons are the arguments."""


def described(contents: dict[Variant, bytes]) -> dict[Variant, ModelFile]:
    """What the card says of each file."""
    return {
        variant: ModelFile(file=FILES[variant], sha256=hashlib.sha256(content).hexdigest())
        for variant, content in contents.items()
    }


def opened(contents: dict[Variant, bytes]) -> dict[Variant, Model]:
    """An interpreter for each variant."""
    return {variant: Model(content, threads=2) for variant, content in contents.items()}


def release(out: Path, card: Card, contents: dict[Variant, bytes]) -> Path:
    """Write the bundle to `out`/<name>/<version>; RefusedError, and `out`/refused/..., where the gate says no."""
    reasons = gate.reasons(card)
    folder = (out / REFUSED if reasons else out) / card.name / card.version
    _write(folder, card, contents, reasons)
    if reasons:
        raise RefusedError(*reasons)
    return folder


def _write(folder: Path, card: Card, contents: dict[Variant, bytes], reasons: Sequence[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for variant, content in contents.items():
        (folder / FILES[variant]).write_bytes(content)
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    if reasons:
        (folder / REASONS).write_text("".join(f"{reason}\n" for reason in reasons))
    log.info("written to %s", folder)
