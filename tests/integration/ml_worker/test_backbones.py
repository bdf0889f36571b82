"""Every backbone that can be named takes an image and gives a 7 x 7 map for head and heatmap."""

import warnings
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def backbones() -> Any:
    """TensorFlow takes seconds to import, so only where it is used."""
    with warnings.catch_warnings():
        # A Google client library that TensorFlow finds and imports announces the end of Python 3.11.
        warnings.simplefilter("ignore", FutureWarning)
        from services.ml_worker.training import backbones  # noqa: PLC0415
    return backbones.BACKBONES


@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnet_b0", "vit_small"])
def test_an_image_becomes_a_map(backbones: Any, name: str) -> None:
    backbone = backbones[name](None)
    image = np.random.default_rng(0).random((1, 224, 224, 3), np.float32)
    found = backbone.upper(backbone.lower(image, training=False), training=False)
    assert tuple(found.shape) == (1, 7, 7, backbone.depth)
    assert np.isfinite(found.numpy()).all()
    assert len(backbone.upper.trainable_weights) > 0
    assert not backbone.lower.trainable_weights
