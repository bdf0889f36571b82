"""Copies of the shipped bundle, changed for a test."""

import json
import shutil
from pathlib import Path
from typing import Any

from services.ml_worker.settings import SHIPPED_MODELS, MlWorkerSettings

NAME: str = MlWorkerSettings.model_fields["model_name"].default
SHIPPED: str = MlWorkerSettings.model_fields["model_version"].default


def copy_bundle(models: Path, version: str, **changed: Any) -> Path:
    """The shipped network as `version` in the folder `models`, with these fields of its card changed."""
    target = models / NAME / version
    shutil.copytree(SHIPPED_MODELS / NAME / SHIPPED, target)
    card = json.loads((target / "card.json").read_text())
    (target / "card.json").write_text(json.dumps(card | {"version": version} | changed))
    return target


def copy_committed(models: Path) -> Path:
    """The shipped bundle without doubt: drawn pictures are rightly none of its business, and it reads them."""
    card = json.loads((SHIPPED_MODELS / NAME / SHIPPED / "card.json").read_text())
    no_gate = {**card["ood"], "distance_limit": 1e6, "energy_limit": 1e6}
    one_label = {**card["conformal"], "least_negative": 0.5, "least_positive": 0.5}
    return copy_bundle(models, SHIPPED, ood=no_gate, conformal=one_label)
