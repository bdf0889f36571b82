"""The release gate: one test a reason, and one for a bundle that has none."""

import pytest

from services.ml_worker.model import OodGate, Variant
from services.ml_worker.training.gate import reasons
from tests.unit.ml_worker.cards import DOUBT, complete_card, metrics, parity


def test_a_sound_bundle_passes() -> None:
    assert reasons(complete_card()) == []


def test_an_auc_that_may_be_too_low_is_refused() -> None:
    card = complete_card(metrics={"cross_validation": metrics(auc=0.9, auc_interval=(0.79, 0.96), groups=71)})
    assert reasons(card) == [
        "cross_validation: AUC 0.9 (0.79 to 0.96 over 71 groups): the lower end must reach 0.8"
    ]


def test_the_worst_source_decides() -> None:
    found = {"cross_validation": metrics(), "cross_validation/web": metrics(auc_interval=(0.7, 0.9))}
    assert len(reasons(complete_card(metrics=found))) == 1


def test_figures_on_test_sets_do_not_decide() -> None:
    found = {"cross_validation": metrics(), "testing": metrics(auc_interval=(0.1, 0.2), ece=0.9)}
    assert reasons(complete_card(metrics=found)) == []


def test_a_calibration_error_is_refused() -> None:
    card = complete_card(metrics={"cross_validation": metrics(ece=0.051)})
    assert reasons(card) == ["cross_validation: calibration error 0.051: must not exceed 0.05"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"label_flips": 2}, "2 of 100 labels flip"),
        ({"mean_abs_dp": 0.03}, "P(positive) moves by 0.03 on average"),
        ({"auc_int8": 0.94}, "AUC falls by 0.0110"),
    ],
)
def test_int8_that_loses_something_is_refused(change: dict[str, float], fault: str) -> None:
    card = complete_card(parity={"testing": parity(**change)})
    assert reasons(card) == [f"int8 parity on testing: {fault}"]


def test_one_flip_is_never_a_reason() -> None:
    assert reasons(complete_card(parity={"testing": parity(n=3, label_flips=1)})) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"files": {}}, "no int8 file"),
        ({"metrics": {}}, "no held-out figures"),
        ({"parity": {}}, "no parity figures"),
        ({"ood": OodGate(**{**DOUBT.ood.model_dump(), "auroc": {}})}, "no OOD figures"),
        ({"data": ()}, "no data named"),
        ({"limits": ()}, "no limits named"),
        ({"body_part": ()}, "no body part named"),
    ],
)
def test_an_incomplete_card_is_refused(change: dict[str, object], what: str) -> None:
    assert reasons(complete_card(**change)) == [f"incomplete card: {what}"]


def test_the_int8_file_is_the_one_that_must_be_there() -> None:
    files = {Variant.FLOAT32: complete_card().files[Variant.INT8]}
    assert reasons(complete_card(files=files)) == ["incomplete card: no int8 file"]
