"""Shares of the last readings against a card: what is apart is told, what chance explains is not."""

import json
import math
import random
from typing import Any

import pytest

from shared.contracts import AbstainReason, DriftLevel, DriftMeasure
from shared.ledger import LastReading
from shared.observe.drift import compare, errors_apart, psi, psi_over_bins, reference
from tests.unit.ml_worker.shipped import shipped_bundle

CARD: dict[str, Any] = {
    "metrics": {
        "cross_validation": {"n": 1, "n_positive": 1},
        "cross_validation/clinic": {
            "n": 200,
            "n_positive": 100,
            "groups": 100,
            "sensitivity": 0.9,
            "specificity": 0.9,
            "abstained": 0.2,
        },
        "cross_validation/web": {"n": 1, "n_positive": 1},
        "out_of_distribution/clinic": {"n": 1, "n_positive": 1},
    },
    "ood": {"fitted_on": "grouped cross-validation, held-out folds of clinic", "pass_rate": 0.95},
}


def readings(
    n: int, *, positive: float = 0.5, ood: float = 0.05, inconclusive: float = 0.15
) -> list[LastReading]:
    def reason(at: int) -> AbstainReason | None:
        if at < ood * n:
            return AbstainReason.OUT_OF_DISTRIBUTION
        return AbstainReason.INCONCLUSIVE if at < (ood + inconclusive) * n else None

    return [
        LastReading("m/1", at < positive * n, round((at + 0.5) / n, 4), 0.5 if at % 2 else 1.5, reason(at))
        for at in range(n)
    ]


def measures(found: list[LastReading]) -> dict[str, DriftMeasure]:
    return {one.name: one for one in compare("m/1", found, reference(CARD)).measures}


def test_what_a_card_expects() -> None:
    found = reference(CARD)
    assert found is not None
    assert (found.name, found.groups) == ("cross_validation/clinic", 100)
    assert found.rates == pytest.approx({"positive_rate": 0.5, "ood_rate": 0.05, "abstention_rate": 0.2})


def test_the_shipped_card_can_be_compared_with() -> None:
    found = reference(json.loads(shipped_bundle().card.model_dump_json()))
    assert found is not None
    assert found.name == "cross_validation/brain-mri-web"
    assert 0.5 < found.rates["positive_rate"] < 0.7


def test_a_card_without_held_out_images_says_nothing() -> None:
    found = compare("m/1", readings(500), reference({"metrics": {}, "ood": {}}))
    assert found.reference is None
    assert {measure.level for measure in found.measures} == {DriftLevel.UNKNOWN}
    assert found.measures[0].observed == 0.5


def test_readings_like_the_cards_have_not_drifted() -> None:
    found = compare("m/1", readings(1000), reference(CARD))
    assert {measure.level for measure in found.measures} == {DriftLevel.NONE}
    assert (found.n, found.median_ood_score) == (1000, 1.0)


@pytest.mark.parametrize(
    ("changed", "name", "level"),
    [
        ({"positive": 0.9}, "positive_rate", DriftLevel.STRONG),
        ({"positive": 0.1}, "positive_rate", DriftLevel.STRONG),
        ({"positive": 0.71}, "positive_rate", DriftLevel.MODERATE),
        ({"positive": 0.6}, "positive_rate", DriftLevel.NONE),
        ({"ood": 0.5}, "ood_rate", DriftLevel.STRONG),
        ({"inconclusive": 0.6}, "abstention_rate", DriftLevel.STRONG),
    ],
)
def test_what_is_apart_is_told(changed: dict[str, float], name: str, level: DriftLevel) -> None:
    assert measures(readings(1000, **changed))[name].level is level


def test_few_readings_tell_nothing() -> None:
    assert measures(readings(99, positive=1))["positive_rate"].level is DriftLevel.UNKNOWN
    assert measures(readings(100, positive=1))["positive_rate"].level is DriftLevel.STRONG
    assert {measure.observed for measure in compare("m/1", [], reference(CARD)).measures} == {None}


WITH_DECILES = CARD | {
    "reference": {
        "n": 200,
        "p_positive": [at / 10 for at in range(1, 10)],
        "ood_score": [at / 10 for at in range(1, 10)],
    }
}


def test_a_card_with_deciles_is_compared_over_ten_bins() -> None:
    found = {one.name: one for one in compare("m/1", readings(1000), reference(WITH_DECILES)).measures}
    assert found["p_positive"].level is DriftLevel.NONE
    assert found["p_positive"].psi == pytest.approx(0, abs=1e-4)
    assert (found["p_positive"].observed, found["p_positive"].expected) == (0.5, 0.5)
    # Half of them at 0.5 and half at 1.5, where the card has them between 0 and 1.
    assert found["ood_score"].level is DriftLevel.STRONG
    assert found["ood_score"].z is None
    few = {one.name: one for one in compare("m/1", readings(99), reference(WITH_DECILES)).measures}
    assert few["ood_score"].level is DriftLevel.UNKNOWN


def test_ten_bins_tell_no_drift_by_chance() -> None:
    chance = random.Random(1)
    for _ in range(50):
        drawn = [LastReading("m/1", at % 2 == 0, chance.random(), chance.random(), None) for at in range(150)]
        found = {one.name: one for one in compare("m/1", drawn, reference(WITH_DECILES)).measures}
        assert found["p_positive"].level is DriftLevel.NONE
        assert found["ood_score"].level is DriftLevel.NONE


def test_the_formulas() -> None:
    assert psi(0.7, 0.5) == pytest.approx(0.2 * math.log(1.4) - 0.2 * math.log(0.6))
    assert psi(0.3, 0.3) == 0
    assert psi_over_bins([0.1] * 3 + [0.9], [0.5]) == pytest.approx(psi(0.75, 0.5))
    # A textbook's: 60 of 100 against 45 of 90.
    assert errors_apart(0.6, 100, 0.5, 90) == pytest.approx(1.385, abs=0.001)


def test_no_share_is_infinitely_far() -> None:
    found = measures(readings(1000, positive=0, ood=1, inconclusive=0))
    assert all(measure.psi is not None and math.isfinite(measure.psi) for measure in found.values())


def test_a_reading_comes_back_as_it_was_kept() -> None:
    for one in readings(20, ood=0.3, inconclusive=0.3):
        assert LastReading.parse("m/1", one.as_args()[0]) == one
