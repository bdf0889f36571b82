"""Temperature, threshold, conformal sets and the gate, on data whose answer is known."""

import numpy as np
import pytest

from services.ml_worker.training import calibration, conformal, doubt, metrics, ood
from services.ml_worker.training.scored import Scored, judge, pooled
from tests.unit.ml_worker.cards import complete_card


def overconfident(n: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `temperature` times what the labels were drawn with."""
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 2, n)
    truth = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(np.int64)
    return np.stack([np.zeros(n), margin * temperature], axis=1).astype(np.float32), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    logits, truth = overconfident(20_000, temperature)
    found = calibration.fit(logits, truth)
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.bias == pytest.approx(0, abs=0.1)
    assert metrics.ece(truth, calibration.p_positive(logits, found)) < 0.02


def test_a_known_bias_is_found_again() -> None:
    logits, truth = overconfident(20_000, 2.0)
    logits[:, 1] -= 1.0
    found = calibration.fit(logits, truth)
    assert found.bias == pytest.approx(0.5, abs=0.1)


def test_a_set_without_error_stays_finite() -> None:
    logits = np.array([[0, -3], [0, -2], [0, 2], [0, 3]], np.float32)
    assert 0.01 < calibration.fit(logits, np.array([0, 0, 1, 1])).temperature < 1


def test_the_threshold_is_the_highest_that_is_sensitive_enough() -> None:
    truth, scores = np.array([1] * 10 + [0] * 5), np.arange(15) / 20
    threshold = calibration.threshold_for(truth, scores, 0.9)
    assert threshold == scores[1]
    assert metrics.rates(truth, scores, threshold).sensitivity == 0.9


def test_conformal_sets_cover_each_label_as_promised() -> None:
    logits, truth = overconfident(8_000, 1.0)
    scores, half = calibration.p_positive(logits, calibration.Scale()), 4_000
    inside = conformal.sets(scores[half:], conformal.fit(truth[:half], scores[:half], 0.1))
    for label in (0, 1):
        assert inside[truth[half:] == label, label].mean() == pytest.approx(0.9, abs=0.03)


def test_too_few_images_rule_nothing_out() -> None:
    assert conformal.fit(np.array([0, 1]), np.array([0.2, 0.8]), 0.1) == (0.0, 0.0)


def test_the_finite_sample_correction_counts_one_more_image() -> None:
    truth, scores = np.ones(19, np.int64), np.arange(1, 20) / 20
    assert conformal.fit(truth, scores, 0.1)[1] == scores[1]


def test_distance_is_about_one_inside_and_large_outside() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6))
    inside, outside = rng.normal(size=(3_000, 6)) @ mixing, (rng.normal(size=(100, 6)) + 9) @ mixing
    gate = ood.fit(inside, np.ones(3_000, np.float32))
    assert np.median(gate.distance(inside)) == pytest.approx(1, abs=0.1)
    assert gate.distance(outside).min() > 3


def test_statistics_are_mean_and_spread_of_each_channel() -> None:
    middle = np.zeros((1, 2, 2, 2), np.float16)
    middle[0, 0, :, 0] = 2
    assert ood.statistics(middle).tolist() == [[1, 0, 1, 0]]


def test_held_out_distances_come_from_the_other_folds() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, (50, 2)), rng.normal(20, 1, (50, 2))])
    kind = ood.Material(values, np.ones(100, np.float32), values, np.arange(100))
    assert kind.held_out(np.repeat([0, 1], 50)).min() > 5


def test_the_gate_knows_the_views_as_well_as_the_images() -> None:
    rng = np.random.default_rng(0)
    plain, seen = rng.normal(0, 1, (50, 2)), rng.normal(20, 1, (100, 2))
    gate = ood.Material(plain, np.ones(50, np.float32), seen, np.repeat(np.arange(50), 2)).gate(
        np.ones(50, np.bool_)
    )
    assert gate.mean.tolist() == pytest.approx([10, 10], abs=0.5)
    assert gate.distance(np.concatenate([plain, seen])).max() < 3


def test_everything_is_fitted_to_what_was_held_out() -> None:
    logits, truth = overconfident(2_000, 2.0)
    distance = np.linspace(0.5, 1.5, 2_000)
    found = doubt.fit(Scored(truth, np.arange(2_000), logits, distance), "here")
    assert found.calibration.ece_after < found.calibration.ece_before
    assert found.calibration.brier_after < found.calibration.brier_before
    assert found.ood.distance_limit == pytest.approx(1.48, abs=0.01)
    assert 0.95 <= found.ood.pass_rate <= 0.99
    p = calibration.p_positive(logits, calibration.Scale(found.temperature, found.bias))
    assert metrics.rates(truth, p, found.threshold).sensitivity >= doubt.TARGET_SENSITIVITY


def test_readings_of_one_image_are_no_further_images() -> None:
    truth, scores = np.repeat([0, 1], 40), np.tile(np.arange(1, 41) / 41, 2)
    once = conformal.fit(truth, scores, 0.1)
    thrice = conformal.fit(np.tile(truth, 3), np.tile(scores, 3), 0.1, readings=3)
    assert thrice == once
    assert conformal.fit(np.tile(truth, 3), np.tile(scores, 3), 0.02, readings=3) == (0, 0)


def test_figures_of_several_readings_count_images_and_resample_groups() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 20)
    logits = np.stack([np.zeros(40), truth + rng.normal(0, 1, 40)], axis=1).astype(np.float32)
    one = Scored(truth, np.arange(40), logits, np.ones(40))
    once = judge(one, complete_card(), "", resamples=200)
    thrice = judge(pooled([one] * 3), complete_card(), "", resamples=200)
    assert (thrice.n, thrice.n_positive, thrice.groups) == (40, 20, 40)
    assert thrice.auc == once.auc
    assert thrice.auc_interval == once.auc_interval


def test_the_reference_is_how_the_held_out_images_are_read() -> None:
    logits, truth = overconfident(2_000, 1.0)
    scored = Scored(truth, np.arange(2_000), logits, np.linspace(0.5, 1.5, 2_000))
    fitted = doubt.fit(scored, "held out")
    assert fitted.reference is not None
    assert (fitted.reference.n, fitted.reference.fitted_on) == (2_000, "held out")
    for deciles in (fitted.reference.p_positive, fitted.reference.ood_score):
        assert list(deciles) == sorted(deciles)
    p = scored.p_positive(calibration.Scale(fitted.temperature, fitted.bias))
    assert np.mean(p < fitted.reference.p_positive[4]) == pytest.approx(0.5, abs=0.01)
    # The gate passes nearly all of them.
    assert fitted.reference.ood_score[8] < 1
