"""The Grad-CAM is exact: its sum and the head's biases add up to the logit, on the bundle that is shipped."""

import numpy as np
import pytest

from services.ml_worker.image import preprocess
from services.ml_worker.model import Variant
from services.ml_worker.training import sanity
from tests.unit.ml_worker.pictures import head_slice
from tests.unit.ml_worker.shipped import shipped_bundle

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def heads() -> np.ndarray:
    """[5, 224, 224]"""
    return np.stack([np.asarray(head_slice(seed)) for seed in range(5)])


@pytest.mark.parametrize("variant", list(Variant))
def test_cam_and_biases_add_up_to_the_logit(variant: Variant, heads: np.ndarray) -> None:
    assert sanity.completeness_error(shipped_bundle(variant).content, heads) < TOLERANCE


def test_the_map_is_signed_and_not_flat() -> None:
    model = shipped_bundle().open()
    maps = np.array([model.infer(preprocess(head_slice(seed))).cam for seed in range(5)])
    assert maps.min() < 0 < maps.max()
    assert (maps.std(axis=(1, 2)) > 0.01).all()


def test_a_shuffled_head_draws_another_map(heads: np.ndarray) -> None:
    content = shipped_bundle(Variant.FLOAT32).content
    assert sanity.randomised(content) != content
    assert abs(sanity.randomisation_similarity(content, heads)) < 0.9


def test_pointing_counts_peaks_that_touch_the_mask() -> None:
    cams = np.zeros((2, 7, 7), np.float32)
    cams[:, 1, 2] = 1
    masks = np.zeros((2, 224, 224), np.bool_)
    masks[0, 40, 70] = masks[1, 200, 200] = True
    assert sanity.pointing_accuracy(cams, masks) == 0.5
