"""A valid card; a test changes only the fields it is about."""

from typing import Any

from services.ml_worker.model import (
    Calibration,
    Card,
    Conformal,
    ModelFile,
    OodGate,
    OperatingPoint,
    Parity,
    SetMetrics,
    Variant,
)
from services.ml_worker.training import about
from services.ml_worker.training.card import new_card
from services.ml_worker.training.doubt import Doubt

DOUBT = Doubt(
    threshold=0.5,
    temperature=1.0,
    bias=0.0,
    operating_point=OperatingPoint(chosen_on="nothing", target_sensitivity=0.95),
    calibration=Calibration(
        fitted_on="nothing", n=1, ece_before=0.1, ece_after=0.05, brier_before=0.2, brier_after=0.1
    ),
    conformal=Conformal(fitted_on="nothing", alpha=0.1, least_negative=0.2, least_positive=0.2),
    ood=OodGate(
        fitted_on="nothing", distance_limit=2.0, energy_limit=5.0, pass_rate=0.97, auroc={"drawn": 1.0}
    ),
)


def card(**changes: Any) -> Card:
    """A card of version 9.9.9 without files or figures, with `changes` made to it."""
    plain = new_card(
        about.read("brain-mri"),
        "9.9.9",
        architecture="none",
        files={},
        doubt=DOUBT,
        training_command="none",
    )
    return plain.model_copy(update=changes)


def metrics(**changes: Any) -> SetMetrics:
    """Of a model that may be released."""
    usual = {
        "split": "drawn", "n": 100, "n_positive": 50, "groups": 90,
        "auc": 0.95, "auc_interval": (0.9, 0.98), "accuracy": 0.9, "ppv": 0.9, "npv": 0.9,
        "sensitivity": 0.95, "sensitivity_interval": (0.9, 0.98),
        "specificity": 0.9, "specificity_interval": (0.8, 0.95),
        "ece": 0.03, "brier": 0.08, "abstained": 0.1, "accuracy_kept": 0.95,
    }  # fmt: skip
    return SetMetrics(**{**usual, **changes})


def parity(**changes: Any) -> Parity:
    """Of an int8 file that loses nothing."""
    usual = {
        "n": 100, "max_abs_dp": 0.05, "mean_abs_dp": 0.01, "label_flips": 0,
        "auc_int8": 0.95, "auc_float32": 0.951,
    }  # fmt: skip
    return Parity(**{**usual, **changes})


def complete_card(**changes: Any) -> Card:
    """A card that the release gate has nothing against."""
    files = {Variant.INT8: ModelFile(file="model.tflite", sha256="0" * 64)}
    usual = {"files": files, "metrics": {"cross_validation": metrics()}, "parity": {"testing": parity()}}
    return card(**{**usual, **changes})
