"""The decision: two readings and a policy in, one explained result out. Pure: no clock, no Redis, no settings.

Three rules stand above the arithmetic. Gemini never raises the confidence of a case on which the ML reading
abstained. Readers that disagree need a person. A reader that declined to choose does not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from shared.contracts import (
    Agreement,
    Fallback,
    FusedResult,
    GeminiReading,
    Label,
    MlReading,
    PolicyName,
    Prior,
    ReviewReason,
    Risk,
    RiskBand,
    SkippedReading,
    SkippedReason,
    UnavailableReading,
    UnavailableReason,
    Voice,
)
from shared.fusion.change import compare

GeminiOutcome = GeminiReading | UnavailableReading | SkippedReading

#: Gemini states a probability without an operating point of its own.
_GEMINI_THRESHOLD = 0.5

#: Where a reason's own word would puzzle the reader of a result.
_WHY: dict[str, str] = {
    UnavailableReason.CIRCUIT_OPEN: "Gemini has been failing and is not asked for now",
    UnavailableReason.DAILY_BUDGET_SPENT: "the budget of Gemini requests for the day is spent",
    UnavailableReason.KEY_REJECTED: "Gemini refused the key",
    UnavailableReason.BURNED_IN_TEXT: "writing may be part of the picture, so that it stays in the house",
    SkippedReason.ALL_FRAMES: "all frames were read, and there is no one picture to ask about",
}

#: What a result says of a second reading that was not asked for.
_SKIPPED: dict[SkippedReason, str] = {
    SkippedReason.NOT_CONFIGURED: "No second reader is configured.",
    SkippedReason.BURNED_IN_TEXT: "Writing is part of the picture, so that it stays in the house.",
    SkippedReason.ALL_FRAMES: "All frames were read, and there is no one picture to ask about.",
}


@dataclass(frozen=True)
class FusionPolicy:
    """How readings are joined. Weights and margins in [0, 1], risk scores in 0-100."""

    name: PolicyName = PolicyName.WEIGHTED
    ml_weight: float = 0.7
    review_margin: float = 0.1
    moderate_from: int = 30
    high_from: int = 70
    #: A change of P(positive) against a prior reading smaller than this counts as none.
    change_margin: float = 0.1


class _Weights(NamedTuple):
    ml: float
    gemini: float


def fuse(
    ml: MlReading,
    gemini: GeminiOutcome,
    policy: FusionPolicy,
    prior: Prior | None = None,
) -> FusedResult:
    """Join both readings into the one result of a job, with the change since `prior` if there is one."""
    weights = _weights(ml, gemini, policy)
    p = _joined(ml, gemini, weights)
    threshold = weights.ml * ml.threshold + weights.gemini * _GEMINI_THRESHOLD
    leaning = Label.POSITIVE if p >= threshold else Label.NEGATIVE
    label = None if ml.abstained else leaning
    agreement = _agreement(ml, gemini)
    reasons = tuple(_review_reasons(ml, gemini, agreement, abs(p - threshold) < policy.review_margin))
    return FusedResult(
        label=label,
        p_positive=p,
        confidence=p if leaning is Label.POSITIVE else 1 - p,
        risk=_risk(p, threshold, policy),
        policy=policy.name,
        agreement=agreement,
        needs_review=bool(reasons),
        review_reasons=reasons,
        fallback=_fallback(gemini),
        change=compare(ml, prior, margin=policy.change_margin) if prior else None,
        provenance=tuple(_voices(ml, gemini, weights)),
        explanation=_explanation(ml, gemini, label, p, agreement),
    )


def _weights(ml: MlReading, gemini: GeminiOutcome, policy: FusionPolicy) -> _Weights:
    if not isinstance(gemini, GeminiReading) or gemini.label is None or ml.abstained:
        return _Weights(1.0, 0.0)
    if policy.name is PolicyName.WEIGHTED:
        return _Weights(policy.ml_weight, 1 - policy.ml_weight)
    ml_sure = _certainty(ml.p_positive, ml.threshold)
    gemini_sure = _certainty(gemini.p_positive, _GEMINI_THRESHOLD)
    return _Weights(1.0, 0.0) if ml_sure >= gemini_sure else _Weights(0.0, 1.0)


def _certainty(p: float, threshold: float) -> float:
    """Distance from the reader's own doubt: 0 at its threshold, 1 at either end of the scale."""
    reach = 1 - threshold if p >= threshold else threshold
    return abs(p - threshold) / reach if reach else 1.0


def _joined(ml: MlReading, gemini: GeminiOutcome, weights: _Weights) -> float:
    if not isinstance(gemini, GeminiReading):
        return ml.p_positive
    return min(1.0, weights.ml * ml.p_positive + weights.gemini * gemini.p_positive)


def _agreement(ml: MlReading, gemini: GeminiOutcome) -> Agreement:
    if not isinstance(gemini, GeminiReading):
        return Agreement.SINGLE_READER
    if ml.abstained or gemini.label is None:
        return Agreement.UNDECIDED
    return Agreement.AGREE if ml.label is gemini.label else Agreement.DISAGREE


def _review_reasons(
    ml: MlReading,
    gemini: GeminiOutcome,
    agreement: Agreement,
    is_near: bool,
) -> Iterator[ReviewReason]:
    if agreement is Agreement.DISAGREE:
        yield ReviewReason.READERS_DISAGREE
    if ml.abstained:
        yield ReviewReason.ML_ABSTAINED
    if isinstance(gemini, GeminiReading) and gemini.label is None:
        yield ReviewReason.GEMINI_UNDECIDED
    if is_near:
        yield ReviewReason.NEAR_THRESHOLD


def _risk(p: float, threshold: float, policy: FusionPolicy) -> Risk:
    """The gauge. A case at or over its threshold is never in the low band, wherever that threshold is."""
    score = round(100 * p)
    if score >= policy.high_from:
        band = RiskBand.HIGH
    elif score >= policy.moderate_from or p >= threshold:
        band = RiskBand.MODERATE
    else:
        band = RiskBand.LOW
    return Risk(
        score=score,
        band=band,
        moderate_from=policy.moderate_from,
        high_from=policy.high_from,
        threshold=threshold,
    )


def _fallback(gemini: GeminiOutcome) -> Fallback | None:
    if isinstance(gemini, GeminiReading):
        return None
    if isinstance(gemini, SkippedReading):
        return Fallback(reason=gemini.reason, detail=_SKIPPED[gemini.reason])
    return Fallback(reason=gemini.reason, detail=gemini.detail)


def _voices(ml: MlReading, gemini: GeminiOutcome, weights: _Weights) -> Iterator[Voice]:
    yield Voice(
        reader="ml",
        label=None if ml.abstained else ml.label,
        p_positive=ml.p_positive,
        weight=weights.ml,
        source=f"{ml.model.name} {ml.model.version}",
    )
    if isinstance(gemini, GeminiReading):
        yield Voice(
            reader="gemini",
            label=gemini.label,
            p_positive=gemini.p_positive,
            weight=weights.gemini,
            source=f"{gemini.model}, prompt {gemini.prompt_version}",
        )


def _explanation(
    ml: MlReading,
    gemini: GeminiOutcome,
    label: Label | None,
    p: float,
    agreement: Agreement,
) -> str:
    said = [_ml_sentence(ml), _gemini_sentence(gemini)]
    if agreement is Agreement.DISAGREE:
        said.append("The readers disagree; a person should look.")
    said.append(f"Together: {label or 'no decision'}, P(positive) {p:.2f}.")
    return " ".join(said)


def _ml_sentence(ml: MlReading) -> str:
    if ml.abstain_reason:
        reason = ml.abstain_reason.replace("_", " ")
        return f"The ML model declined to decide ({reason}; P(positive) {ml.p_positive:.2f})."
    return f"The ML model reads {ml.label} (P(positive) {ml.p_positive:.2f}, threshold {ml.threshold:.2f})."


def _gemini_sentence(gemini: GeminiOutcome) -> str:
    if isinstance(gemini, GeminiReading):
        choice = f"reads {gemini.label}" if gemini.label else "declined to decide"
        return f"Gemini {choice} (P(positive) {gemini.p_positive:.2f})."
    return f"There is no second reading ({_WHY.get(gemini.reason, gemini.reason.replace('_', ' '))})."
