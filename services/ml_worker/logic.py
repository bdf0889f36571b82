"""From the network's raw outputs to the ML reading. Pure: no file, no clock, no settings."""

from collections.abc import Mapping

import numpy as np

from services.ml_worker.model import Card, RawOutputs
from shared.contracts import Label, MlReading, ModelRef

_CAM_DECIMALS = 4


def reading(
    raw: RawOutputs, card: Card, model: ModelRef, *, notes: tuple[str, ...], timings_ms: Mapping[str, float]
) -> MlReading:
    """What the card's model says about one image; `notes` and `timings_ms` are passed on as they are."""
    negative, positive = (float(logit) for logit in raw.logits)
    p_positive = probability(negative, positive, card.temperature)
    return MlReading(
        label=Label.POSITIVE if p_positive >= card.threshold else Label.NEGATIVE,
        p_positive=p_positive,
        threshold=card.threshold,
        logits=(negative, positive),
        cam=_cam(raw),
        model=model,
        body_part=card.body_part,
        image_notes=notes,
        timings_ms=dict(timings_ms),
    )


def probability(negative: float, positive: float, temperature: float) -> float:
    """P(positive): the softmax over both logits, each divided by `temperature` (Guo et al. 2017)."""
    # Through tanh, which saturates, where exp would overflow.
    return 0.5 * (1.0 + float(np.tanh((positive - negative) / (2.0 * temperature))))


def _cam(raw: RawOutputs) -> tuple[tuple[float, ...], ...]:
    """Grad-CAM's ReLU, which the network leaves out: what speaks against the label is not shown."""
    shown = np.maximum(raw.cam.astype(float), 0.0).round(_CAM_DECIMALS)
    return tuple(tuple(row) for row in shown.tolist())
