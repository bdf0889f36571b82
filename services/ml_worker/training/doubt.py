"""What a bundle knows about its own limits, fitted to held-out images: temperature, threshold, sets and gate."""

from dataclasses import dataclass

import numpy as np

from services.ml_worker import logic
from services.ml_worker.model import Calibration, Conformal, OodGate, OperatingPoint, Reference
from services.ml_worker.training import calibration, conformal, metrics
from services.ml_worker.training.metrics import Floats
from services.ml_worker.training.scored import Scored

#: A missed cancer costs more than a recall. Beyond this the held-out web slices charge dearly: with 0.2.0, 0.95 of the
#: tumours would have left 0.60 of the healthy alone instead of 0.90.
TARGET_SENSITIVITY = 0.93
#: Share of the images of each label that may lose it from their set.
ALPHA = 0.05
#: Share of the right kind of images that each of the two tests of the gate lets pass.
PASS = 0.98

_DECIMALS = 4


@dataclass(frozen=True)
class Doubt:
    """The fitted parts of a card."""

    threshold: float
    temperature: float
    bias: float
    operating_point: OperatingPoint
    calibration: Calibration
    conformal: Conformal
    ood: OodGate
    reference: Reference | None = None


def fit(held_out: Scored, what: str) -> Doubt:
    """Fit all of it to held-out images; `what` names them on the card."""
    truth = held_out.truth
    scale = calibration.Scale(*(round(part, _DECIMALS) for part in calibration.fit(held_out.logits, truth)))
    p = held_out.p_positive(scale)
    gate = _gate(held_out, what)
    threshold = _down(calibration.threshold_for(truth, p, TARGET_SENSITIVITY))
    return Doubt(
        threshold=threshold,
        temperature=scale.temperature,
        bias=scale.bias,
        operating_point=OperatingPoint(chosen_on=what, target_sensitivity=TARGET_SENSITIVITY),
        calibration=_calibration(held_out, p, what),
        conformal=_conformal(held_out, p, what),
        ood=gate,
        reference=_reference(held_out, p, gate, what),
    )


def _calibration(held_out: Scored, p: Floats, what: str) -> Calibration:
    truth, before = held_out.truth, held_out.p_positive(calibration.Scale())
    return Calibration(
        fitted_on=what,
        n=len(truth) // held_out.readings,
        ece_before=round(metrics.ece(truth, before), _DECIMALS),
        ece_after=round(metrics.ece(truth, p), _DECIMALS),
        brier_before=round(metrics.brier(truth, before), _DECIMALS),
        brier_after=round(metrics.brier(truth, p), _DECIMALS),
    )


def _conformal(held_out: Scored, p: Floats, what: str) -> Conformal:
    found = conformal.fit(held_out.truth, p, ALPHA, held_out.readings)
    least_negative, least_positive = (_down(least) for least in found)
    return Conformal(
        fitted_on=what, alpha=ALPHA, least_negative=least_negative, least_positive=least_positive
    )


def _gate(held_out: Scored, what: str) -> OodGate:
    energies = [logic.energy((float(n), float(p))) for n, p in held_out.logits]
    distance_limit, energy_limit = np.quantile(held_out.distance, PASS), np.quantile(energies, PASS)
    passed = (held_out.distance <= distance_limit) & (energies <= energy_limit)
    return OodGate(
        fitted_on=what,
        distance_limit=round(float(distance_limit), _DECIMALS),
        energy_limit=round(float(energy_limit), _DECIMALS),
        pass_rate=round(float(passed.mean()), _DECIMALS),
        auroc={},
    )


def _reference(held_out: Scored, p: Floats, gate: OodGate, what: str) -> Reference:
    def deciles(found: Floats) -> tuple[float, ...]:
        return tuple(round(float(value), _DECIMALS) for value in np.quantile(found, np.arange(1, 10) / 10))

    return Reference(
        fitted_on=what,
        n=len(p) // held_out.readings,
        p_positive=deciles(p),
        ood_score=deciles(held_out.ood_scores(gate)),
    )


def _down(value: float) -> float:
    """Rounded so that what was at the limit stays on its right side."""
    return float(np.floor(value * 10**_DECIMALS) / 10**_DECIMALS)
