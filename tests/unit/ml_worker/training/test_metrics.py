"""Figures against figures worked out by hand."""

import math

import numpy as np
import pytest

from services.ml_worker.training import metrics
from services.ml_worker.training.bootstrap import interval
from services.ml_worker.training.scored import curves

TRUTH = np.array([0, 0, 1, 1])


def test_auc_counts_ordered_pairs_and_half_of_ties() -> None:
    assert metrics.auc(TRUTH, np.array([0.1, 0.2, 0.3, 0.4])) == 1
    assert metrics.auc(TRUTH, np.array([0.1, 0.3, 0.2, 0.4])) == 0.75
    assert metrics.auc(TRUTH, np.full(4, 0.5)) == 0.5
    assert math.isnan(metrics.auc(np.ones(2, np.int64), np.array([0.1, 0.2])))


def test_rates_at_the_threshold() -> None:
    found = metrics.rates(TRUTH, np.array([0.1, 0.5, 0.5, 0.4]), 0.5)
    assert (found.tp, found.fp, found.tn, found.fn) == (1, 1, 1, 1)
    assert (found.accuracy, found.sensitivity, found.specificity, found.ppv, found.npv) == (0.5,) * 5


def test_a_rate_of_nothing_is_not_a_number() -> None:
    assert math.isnan(metrics.rates(TRUTH, np.zeros(4), 0.5).ppv)


def test_roc_starts_at_nothing_and_ends_at_everything() -> None:
    false, true = metrics.roc(TRUTH, np.array([0.1, 0.3, 0.2, 0.4]))
    assert false.tolist() == [0, 0, 0.5, 0.5, 1]
    assert true.tolist() == [0, 0.5, 0.5, 1, 1]


def test_tied_scores_are_one_step_of_the_roc() -> None:
    false, true = metrics.roc(TRUTH, np.array([0.1, 0.5, 0.5, 0.9]))
    assert (false.tolist(), true.tolist()) == ([0, 0, 0.5, 1], [0, 0.5, 1, 1])


def test_precision_and_recall() -> None:
    recall, precision = metrics.precision_recall(TRUTH, np.array([0.1, 0.3, 0.2, 0.4]))
    assert recall.tolist() == [0.5, 0.5, 1, 1]
    assert precision.tolist() == pytest.approx([1, 0.5, 2 / 3, 0.5])


def test_calibration_error_and_brier() -> None:
    scores = np.array([0.15, 0.15, 0.85, 0.85])
    assert metrics.ece(TRUTH, scores) == pytest.approx(0.15)
    assert metrics.brier(TRUTH, scores) == pytest.approx(0.15**2)
    assert metrics.ece(np.array([0, 1]), np.array([0.5, 0.5])) == 0


def test_certainty_falls_into_the_last_bin() -> None:
    assert metrics.ece(np.array([1]), np.array([1.0])) == 0


def test_the_interval_resamples_groups_and_not_images() -> None:
    # Ten copies each of four images: by image the mean looks sure, by group it does not.
    values, groups = np.repeat([0.0, 0.0, 1.0, 1.0], 10), np.repeat(np.arange(4), 10)
    by_group = interval(lambda drawn: float(values[drawn].mean()), groups)
    by_image = interval(lambda drawn: float(values[drawn].mean()), np.arange(40))
    assert by_group == (0.0, 1.0)
    assert by_image[0] > 0.3
    assert by_image[1] < 0.7


def test_the_interval_holds_the_mean_of_a_known_sample() -> None:
    values = np.random.default_rng(0).normal(size=400)
    low, high = interval(lambda drawn: float(values[drawn].mean()), np.arange(400))
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_no_interval_where_every_resample_fails() -> None:
    assert all(math.isnan(end) for end in interval(lambda _: float("nan"), np.arange(3), resamples=5))


def test_a_thinned_roc_keeps_its_ends_and_its_shape() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 5000)
    false, true = metrics.roc(truth, rng.normal(truth, 1.0))
    few = metrics.thinned((false, true), 40)
    assert len(few[0]) <= 40
    assert (few[0][0], few[1][0], few[0][-1], few[1][-1]) == (0, 0, 1, 1)
    assert np.trapezoid(few[1], few[0]) == pytest.approx(np.trapezoid(true, false), abs=0.005)


def test_curves_of_one_class_have_no_roc() -> None:
    found = curves(np.ones(3, np.int64), np.array([0.2, 0.25, 0.9]))
    assert found["roc"] == ()
    assert found["reliability"] == ((0.225, 1.0, 2), (0.9, 1.0, 1))
