"""From the network's raw outputs to the ML reading. Pure: no file, no clock, no settings."""

from collections.abc import Mapping, Sequence

import numpy as np

from services.ml_worker import peak
from services.ml_worker.model import Card, OodGate, RawOutputs
from shared.contracts import AbstainReason, FrameReading, Label, MlReading, ModelRef

_CAM_DECIMALS = 4
_SCORE_DECIMALS = 4
#: e to this is a score that nobody needs to see exceeded.
_MOST_OVER = 10.0


def reading(
    raw: RawOutputs,
    card: Card,
    model: ModelRef,
    *,
    size: tuple[int, int],
    notes: tuple[str, ...],
    timings_ms: Mapping[str, float],
) -> MlReading:
    """What the card's model says about one image of `size` (width, height; px, as a viewer shows it).

    `notes` and `timings_ms` are passed on as they are.
    """
    negative, positive = (float(logit) for logit in raw.logits)
    p_positive = probability(negative, positive, card.temperature, card.bias)
    label = Label.POSITIVE if p_positive >= card.threshold else Label.NEGATIVE
    labels, score = conformal_set(p_positive, card), ood_score(raw, card.ood)
    return MlReading(
        label=label,
        p_positive=p_positive,
        threshold=card.threshold,
        logits=(negative, positive),
        cam=_cam(raw),
        peak_box=peak.box(raw.cam, size),
        conformal_set=labels,
        ood_score=round(score, _SCORE_DECIMALS),
        abstain_reason=abstain_reason(label, labels, score),
        model=model,
        finding=card.finding,
        body_part=card.body_part,
        image_notes=notes,
        timings_ms=dict(timings_ms),
    )


def chosen(readings: Sequence[MlReading]) -> MlReading:
    """The reading that stands for all frames: the highest P(positive) of those that do not abstain; of all, if all do.

    Of equals the first. The more frames, the likelier that one of them is high by chance: the model's error rates are
    those of one picture (docs/dicom.md).
    """
    committed = [reading for reading in readings if not reading.abstained]
    return max(committed or readings, key=lambda reading: reading.p_positive)


def of_all(readings: Sequence[MlReading]) -> MlReading:
    """The chosen reading; where there were several frames, with what each of them said."""
    if len(readings) == 1:
        return readings[0]
    best = chosen(readings)
    note = f"highest P(positive) of {len(readings)} frames"
    return best.model_copy(
        update={"frames": tuple(map(_of_frame, readings)), "image_notes": (note, *best.image_notes)}
    )


def _of_frame(reading: MlReading) -> FrameReading:
    return FrameReading(
        frame=reading.frame or 1,
        label=reading.label,
        p_positive=reading.p_positive,
        ood_score=reading.ood_score,
        abstain_reason=reading.abstain_reason,
    )


def probability(negative: float, positive: float, temperature: float, bias: float = 0.0) -> float:
    """P(positive): the softmax over the logits divided by `temperature` (Guo et al. 2017), Positive's plus `bias`."""
    # Through tanh, which saturates, where exp would overflow.
    margin = (positive - negative) / temperature + bias
    return 0.5 * (1.0 + float(np.tanh(margin / 2.0)))


def conformal_set(p_positive: float, card: Card) -> tuple[Label, ...]:
    """The labels probable enough not to be ruled out; with small error rates often both, seldom none."""
    least = {Label.NEGATIVE: card.conformal.least_negative, Label.POSITIVE: card.conformal.least_positive}
    p = {Label.NEGATIVE: 1 - p_positive, Label.POSITIVE: p_positive}
    return tuple(label for label in card.labels if p[label] >= least[label])


def energy(logits: tuple[float, float]) -> float:
    """-log(sum(exp(logits))): high where no label has any evidence (Liu et al. 2020)."""
    return -float(np.logaddexp(*logits))


def ood_score(raw: RawOutputs, gate: OodGate) -> float:
    """The larger of distance and energy, each so that 1 is the gate's limit for it."""
    over = energy((float(raw.logits[0]), float(raw.logits[1]))) - gate.energy_limit
    return max(raw.distance / gate.distance_limit, float(np.exp(min(over, _MOST_OVER))))


def abstain_reason(label: Label, labels: tuple[Label, ...], score: float) -> AbstainReason | None:
    """Unknown kind of image first; then a label that is not the only one left."""
    if score > 1:
        return AbstainReason.OUT_OF_DISTRIBUTION
    return None if labels == (label,) else AbstainReason.INCONCLUSIVE


def _cam(raw: RawOutputs) -> tuple[tuple[float, ...], ...]:
    """Grad-CAM's ReLU, which the network leaves out: what speaks against the label is not shown."""
    shown = np.maximum(raw.cam.astype(float), 0.0).round(_CAM_DECIMALS)
    return tuple(tuple(row) for row in shown.tolist())
