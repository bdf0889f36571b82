"""The decision, case by case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import (
    AbstainReason,
    Agreement,
    GeminiReading,
    Label,
    MlReading,
    PolicyName,
    ReviewReason,
    RiskBand,
    SkippedReading,
    SkippedReason,
    UnavailableReading,
    UnavailableReason,
)
from shared.fusion.logic import FusionPolicy, fuse
from tests.support.samples import RATE_LIMITED, SKIPPED, gemini_reading, ml_reading

WEIGHTED = FusionPolicy()
SUREST = FusionPolicy(name=PolicyName.HIGHEST_CONFIDENCE)


def ml(p: float, *, threshold: float = 0.5, abstain_reason: AbstainReason | None = None) -> MlReading:
    label = Label.POSITIVE if p >= threshold else Label.NEGATIVE
    return ml_reading(p_positive=p, label=label, threshold=threshold, abstain_reason=abstain_reason)


def gemini(p: float) -> GeminiReading:
    return gemini_reading(p_positive=p, label=Label.POSITIVE if p >= 0.5 else Label.NEGATIVE)


def test_weighted_is_the_weighted_average() -> None:
    fused = fuse(ml(0.9), gemini(0.6), WEIGHTED)
    assert fused.p_positive == pytest.approx(0.7 * 0.9 + 0.3 * 0.6)
    assert fused.label is Label.POSITIVE
    assert fused.confidence == pytest.approx(fused.p_positive)
    assert [voice.weight for voice in fused.provenance] == pytest.approx([0.7, 0.3])


@pytest.mark.parametrize(
    ("p_ml", "p_gemini", "decides"),
    [(0.95, 0.6, 0.95), (0.6, 0.95, 0.95), (0.55, 0.02, 0.02), (0.5, 0.5, 0.5)],
)
def test_highest_confidence_takes_the_surer_reader(p_ml: float, p_gemini: float, decides: float) -> None:
    assert fuse(ml(p_ml), gemini(p_gemini), SUREST).p_positive == decides


def test_sureness_is_measured_from_the_readers_own_threshold() -> None:
    # 0.3 is far over a threshold of 0.1, though it looks unsure on a scale around one half.
    fused = fuse(ml(0.3, threshold=0.1), gemini(0.45), SUREST)
    assert fused.p_positive == 0.3
    assert fused.label is Label.POSITIVE


def test_readers_that_agree_say_so() -> None:
    fused = fuse(ml(0.9), gemini(0.9), WEIGHTED)
    assert fused.agreement is Agreement.AGREE
    assert not fused.needs_review
    assert fused.fallback is None


def test_readers_that_disagree_need_review() -> None:
    fused = fuse(ml(0.95), gemini(0.1), WEIGHTED)
    assert fused.agreement is Agreement.DISAGREE
    assert fused.review_reasons == (ReviewReason.READERS_DISAGREE,)
    assert "disagree" in fused.explanation


def test_unavailable_gemini_leaves_ml_alone_with_the_reason() -> None:
    fused = fuse(ml(0.9), RATE_LIMITED, WEIGHTED)
    assert fused.p_positive == 0.9
    assert fused.agreement is Agreement.SINGLE_READER
    assert fused.fallback is not None
    assert fused.fallback.reason is UnavailableReason.RATE_LIMITED
    assert fused.fallback.detail == RATE_LIMITED.detail
    assert [voice.reader for voice in fused.provenance] == ["ml"]


def test_skipped_gemini_leaves_ml_alone_with_the_reason() -> None:
    fused = fuse(ml(0.2), SKIPPED, WEIGHTED)
    assert fused.label is Label.NEGATIVE
    assert fused.fallback is not None
    assert fused.fallback.reason == "not_configured"


def test_gemini_that_declines_does_not_count() -> None:
    undecided = gemini_reading(label=None, p_positive=0.5)
    fused = fuse(ml(0.9), undecided, WEIGHTED)
    assert fused.p_positive == 0.9
    assert fused.agreement is Agreement.UNDECIDED
    assert fused.review_reasons == (ReviewReason.GEMINI_UNDECIDED,)


@pytest.mark.parametrize("policy", [WEIGHTED, SUREST])
def test_gemini_never_decides_what_ml_abstained_on(policy: FusionPolicy) -> None:
    abstained = ml(0.55, abstain_reason=AbstainReason.OUT_OF_DISTRIBUTION)
    alone, helped = fuse(abstained, SKIPPED, policy), fuse(abstained, gemini(0.99), policy)
    assert helped.label is None
    assert helped.confidence <= alone.confidence
    assert ReviewReason.ML_ABSTAINED in helped.review_reasons
    assert helped.provenance[0].label is None


def test_close_to_the_threshold_needs_review() -> None:
    assert fuse(ml(0.58), SKIPPED, WEIGHTED).review_reasons == (ReviewReason.NEAR_THRESHOLD,)
    assert fuse(ml(0.61), SKIPPED, WEIGHTED).review_reasons == ()


@pytest.mark.parametrize(
    ("p", "threshold", "score", "band"),
    [
        (0.0, 0.5, 0, RiskBand.LOW),
        (0.29, 0.5, 29, RiskBand.LOW),
        (0.30, 0.5, 30, RiskBand.MODERATE),
        (0.69, 0.5, 69, RiskBand.MODERATE),
        (0.70, 0.5, 70, RiskBand.HIGH),
        (1.0, 0.5, 100, RiskBand.HIGH),
        # Positive at a low operating point: never shown as low.
        (0.15, 0.1, 15, RiskBand.MODERATE),
    ],
)
def test_gauge(p: float, threshold: float, score: int, band: RiskBand) -> None:
    risk = fuse(ml(p, threshold=threshold), SKIPPED, WEIGHTED).risk
    assert (risk.score, risk.band) == (score, band)


probabilities = st.floats(0, 1)


@given(probabilities, probabilities, probabilities, st.sampled_from(PolicyName))
def test_any_two_readings_make_a_valid_result(
    p_ml: float, p_gemini: float, t: float, name: PolicyName
) -> None:
    fused = fuse(ml(p_ml, threshold=t), gemini(p_gemini), FusionPolicy(name=name))
    assert min(p_ml, p_gemini) - 1e-9 <= fused.p_positive <= max(p_ml, p_gemini) + 1e-9
    assert sum(voice.weight for voice in fused.provenance) == pytest.approx(1)
    assert fused.needs_review == bool(fused.review_reasons)
    assert fused.disclaimer


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (UnavailableReason.CIRCUIT_OPEN, "Gemini has been failing and is not asked for now"),
        (UnavailableReason.DAILY_BUDGET_SPENT, "the budget of Gemini requests for the day is spent"),
        (UnavailableReason.KEY_REJECTED, "Gemini refused the key"),
        (UnavailableReason.NO_WORKER, "no worker"),
    ],
)
def test_why_there_is_no_second_reading_is_said_in_words(reason: UnavailableReason, words: str) -> None:
    fused = fuse(ml(0.9), UnavailableReading(reason=reason), WEIGHTED)
    assert f"There is no second reading ({words})." in fused.explanation
    assert fused.fallback is not None
    assert fused.fallback.reason is reason


@pytest.mark.parametrize("reason", list(SkippedReason))
def test_why_a_second_reading_was_not_asked_for_is_said_in_words(reason: SkippedReason) -> None:
    fused = fuse(ml(0.9), SkippedReading(reason=reason), WEIGHTED)
    assert "There is no second reading" in fused.explanation
    assert fused.fallback is not None
    assert fused.fallback.detail.endswith(".")
