"""The reading's numbers, by hand."""

import math

import numpy as np
import pytest

from services.ml_worker.logic import probability, reading
from services.ml_worker.model import Card, RawOutputs
from shared.contracts import Label, MlReading, ModelRef
from tests.unit.ml_worker.cards import card

MODEL = ModelRef(name="brain-mri-mobilenetv2", version="9.9.9", sha256="0" * 64)


def raw(negative: float, positive: float, cam: float = 0.0) -> RawOutputs:
    return RawOutputs(
        logits=np.array([negative, positive], np.float32),
        embedding=np.zeros(1280, np.float32),
        cam=np.full((7, 7), cam, np.float32),
    )


def read(outputs: RawOutputs, about: Card | None = None) -> MlReading:
    return reading(outputs, about or card(), MODEL, notes=("a note",), timings_ms={"infer": 1.5})


def test_probability_is_the_softmax() -> None:
    assert probability(0.0, 0.0, 1.0) == 0.5
    assert probability(0.0, math.log(3), 1.0) == pytest.approx(0.75)
    assert probability(1.0, 2.0, 1.0) == pytest.approx(math.e**2 / (math.e + math.e**2))


def test_temperature_divides_the_logits() -> None:
    assert probability(-1.0, 3.0, 4.0) == pytest.approx(math.e / (1 + math.e))


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
