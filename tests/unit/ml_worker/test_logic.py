"""The reading's numbers, by hand."""

import math

import numpy as np
import pytest

from services.ml_worker.logic import energy, probability, reading
from services.ml_worker.model import Card, Conformal, RawOutputs
from shared.contracts import AbstainReason, Box, FindingCode, Label, MlReading, ModelRef
from tests.unit.ml_worker.cards import card

MODEL = ModelRef(name="brain-mri-mobilenetv2", version="9.9.9", sha256="0" * 64)


def raw(negative: float, positive: float, cam: float = 0.0, distance: float = 1.0) -> RawOutputs:
    return RawOutputs(
        logits=np.array([negative, positive], np.float32),
        embedding=np.zeros(1280, np.float32),
        cam=np.full((7, 7), cam, np.float32),
        distance=distance,
    )


def read(outputs: RawOutputs, about: Card | None = None) -> MlReading:
    return reading(
        outputs, about or card(), MODEL, size=(70, 70), notes=("a note",), timings_ms={"infer": 1.5}
    )


def test_probability_is_the_softmax() -> None:
    assert probability(0.0, 0.0, 1.0) == 0.5
    assert probability(0.0, math.log(3), 1.0) == pytest.approx(0.75)
    assert probability(1.0, 2.0, 1.0) == pytest.approx(math.e**2 / (math.e + math.e**2))


def test_temperature_divides_the_logits() -> None:
    assert probability(-1.0, 3.0, 4.0) == pytest.approx(math.e / (1 + math.e))


def test_bias_shifts_the_scaled_margin() -> None:
    assert probability(0.0, -2.0, 2.0, 1.0) == 0.5


@pytest.mark.parametrize(("margin", "expected"), [(5_000.0, 1.0), (-5_000.0, 0.0)])
def test_extreme_logits_saturate(margin: float, expected: float) -> None:
    assert probability(0.0, margin, 0.01) == expected


@pytest.mark.parametrize(
    ("positive", "label"), [(0.1, Label.POSITIVE), (0.0, Label.POSITIVE), (-0.1, Label.NEGATIVE)]
)
def test_positive_at_or_above_the_threshold(positive: float, label: Label) -> None:
    assert read(raw(0.0, positive)).label is label


def test_threshold_and_temperature_are_the_cards() -> None:
    found = read(raw(0.0, 2 * math.log(3)), card(threshold=0.8, temperature=2.0))
    assert found.p_positive == pytest.approx(0.75)
    assert (found.threshold, found.label) == (0.8, Label.NEGATIVE)


def test_cam_is_rectified_and_rounded_and_keeps_its_rows() -> None:
    outputs = raw(0.0, 0.0)
    outputs.cam[0, 6] = 1.23456
    outputs.cam[6, 0] = -2.0
    cam = read(outputs).cam
    assert cam[0] == (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.2346)
    assert len(cam) == 7
    assert set(cam[6]) == {0}


def test_what_is_passed_on() -> None:
    found = read(raw(-1.0, 2.0))
    assert found.logits == (-1.0, 2.0)
    assert (found.model, found.image_notes, found.timings_ms) == (MODEL, ("a note",), {"infer": 1.5})
    assert not found.abstained


def test_what_positive_means_is_the_cards() -> None:
    code = FindingCode(value="52988006", scheme="SCT", meaning="Lesion")
    assert read(raw(0.0, 1.0), card(finding=code)).finding == code
    assert read(raw(0.0, 1.0), card(finding=None)).finding is None


def test_the_peak_is_in_px_of_the_image() -> None:
    outputs = raw(0.0, 1.0)
    outputs.cam[1, 2] = 0.5
    assert read(outputs).peak_box == Box(left=20, top=10, width=10, height=10)
    assert read(raw(0.0, 1.0)).peak_box is None


@pytest.mark.parametrize(
    ("p_positive", "labels", "reason"),
    [
        (0.9, (Label.POSITIVE,), None),
        (0.1, (Label.NEGATIVE,), None),
        (0.6, (Label.NEGATIVE, Label.POSITIVE), AbstainReason.INCONCLUSIVE),
    ],
)
def test_more_than_one_label_left_is_inconclusive(
    p_positive: float, labels: tuple[Label, ...], reason: AbstainReason | None
) -> None:
    found = read(raw(0.0, math.log(p_positive / (1 - p_positive))))
    assert (found.conformal_set, found.abstain_reason) == (labels, reason)


def test_no_label_left_is_inconclusive() -> None:
    strict = Conformal(fitted_on="", alpha=0.5, least_negative=0.9, least_positive=0.9)
    found = read(raw(0.0, 0.1), card(conformal=strict))
    assert (found.conformal_set, found.abstain_reason) == ((), AbstainReason.INCONCLUSIVE)


def test_one_label_left_that_is_not_the_answer_is_inconclusive() -> None:
    found = read(raw(0.0, math.log(1 / 9)), card(threshold=0.05))
    assert found.label is Label.POSITIVE
    assert (found.conformal_set, found.abstain_reason) == ((Label.NEGATIVE,), AbstainReason.INCONCLUSIVE)


def test_too_far_from_the_training_images_is_out_of_distribution() -> None:
    assert read(raw(0.0, 3.0, distance=1.9)).abstain_reason is None
    far = read(raw(0.0, 3.0, distance=3.0))
    assert (far.ood_score, far.abstain_reason) == (1.5, AbstainReason.OUT_OF_DISTRIBUTION)


def test_no_evidence_for_any_label_is_out_of_distribution() -> None:
    found = read(raw(-9.0, -9.0, distance=0.1))
    assert energy((-9.0, -9.0)) == pytest.approx(9 - math.log(2))
    assert found.ood_score == pytest.approx(math.exp(4 - math.log(2)), abs=1e-4)
    assert found.abstain_reason is AbstainReason.OUT_OF_DISTRIBUTION
