"""Keras, LiteRT float32 and LiteRT int8 say the same of the same images.

Once for our exporter with a network of random weights, which needs nothing but TensorFlow, and once for the
shipped bundle against Keras with the ImageNet weights, where those are at hand (always in CI).
"""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.ml_worker.image import preprocess
from services.ml_worker.logic import probability
from services.ml_worker.model import Model, Variant, load_bundle
from services.ml_worker.settings import SHIPPED_MODELS
from services.ml_worker.training.card import NAME
from tests.unit.ml_worker.heads import Head, head_of
from tests.unit.ml_worker.pictures import head_slice

#: Keras against float32, on every output: the same arithmetic in another order.
FLOAT_TOLERANCE = 2e-4
#: int8 against float32: largest and mean difference of P(positive).
INT8_MAX_DP = 0.2
INT8_MEAN_DP = 0.05

WEIGHTS = Path(__file__).parents[4] / "shared" / "weights" / "mobilenet_v2_imagenet_no_top.weights.h5"

#: Random networks whose logits vary less than this from image to image would agree on nothing much.
SIGNAL = 0.05

Outputs = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return np.concatenate([preprocess(head_slice(seed)) for seed in range(24)])


@pytest.fixture(scope="module")
def network() -> Any:
    """The module that builds networks; TensorFlow takes seconds to import, so only where it is used."""
    with warnings.catch_warnings():
        # A Google client library that TensorFlow finds and imports announces the end of Python 3.11.
        warnings.simplefilter("ignore", FutureWarning)
        from services.ml_worker.training import network  # noqa: PLC0415
    return network


def litert(content: bytes, images: NDArray[np.float32]) -> Outputs:
    model = Model(content, threads=2)
    outputs = [model.infer(image[np.newaxis]) for image in images]
    return {
        name: np.stack([getattr(raw, name) for raw in outputs]) for name in ("logits", "embedding", "cam")
    }


def keras(model: Any, images: NDArray[np.float32]) -> Outputs:
    outputs = {name: value.numpy() for name, value in model(images, training=False).items()}
    return {**outputs, "cam": outputs["cam"][..., 1]}


def assert_same(one: Outputs, other: Outputs) -> None:
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=0, atol=FLOAT_TOLERANCE, err_msg=name)


def assert_int8_close(int8: Outputs, float32: Outputs) -> None:
    p_int8, p_float32 = (
        np.array([probability(float(n), float(p), 1.0) for n, p in outputs["logits"]])
        for outputs in (int8, float32)
    )
    difference = np.abs(p_int8 - p_float32)
    assert difference.max() <= INT8_MAX_DP
    assert difference.mean() <= INT8_MEAN_DP


def set_head(head: Any, weights: Head) -> None:
    head.set_weights([weights.w1.T, weights.b1, weights.w2.T, weights.b2])


def small_backbone() -> Any:
    """[n, 224, 224, 3] to [n, 7, 7, 64] in eight convolutions: of the kinds MobileNetV2 has, but quick to export."""
    from tensorflow.keras import Input, Model, initializers, layers  # noqa: PLC0415

    # Keras's He initialiser counts a depthwise kernel's channels as inputs, which they are not.
    lively = initializers.RandomNormal(stddev=0.5, seed=1)

    image = Input((224, 224, 3))
    features = layers.Rescaling(2.0, offset=-1.0)(image)
    for depth in (16, 32, 48):
        features = layers.Conv2D(depth, 3, 2, "same", kernel_initializer="he_normal")(features)
        features = layers.ReLU(6.0)(features)
    for _ in range(2):
        features = layers.DepthwiseConv2D(3, 2, "same", depthwise_initializer=lively)(features)
        features = layers.Conv2D(64, 1, kernel_initializer="he_normal")(features)
        features = layers.ReLU(6.0)(features)
    return Model(image, layers.Conv2D(64, 1, activation="relu")(features))


def test_the_exporter_keeps_what_the_network_says(network: Any) -> None:
    import tensorflow as tf  # noqa: PLC0415

    from services.ml_worker.training.export import export  # noqa: PLC0415

    tf.keras.utils.set_random_seed(1)
    # Plain colours: unlike pictures of one kind, they lead a random network to unlike answers.
    images = np.tile(np.random.default_rng(0).random((24, 1, 1, 3), np.float32), (1, 224, 224, 1))
    model = network.explain(small_backbone(), network.build_head(64))
    contents = export(model, images[:8])
    float32 = litert(contents[Variant.FLOAT32], images)
    assert float32["logits"].std(axis=0).min() > SIGNAL
    assert_same(keras(model, images), float32)
    assert_int8_close(litert(contents[Variant.INT8], images), float32)


@pytest.mark.skipif(not WEIGHTS.exists() and "CI" not in os.environ, reason="needs the ImageNet weights")
def test_the_shipped_bundle_is_the_keras_network(network: Any, images: NDArray[np.float32]) -> None:
    shipped = load_bundle(SHIPPED_MODELS, NAME, "0.1.0", Variant.FLOAT32)
    head = network.build_head()
    set_head(head, head_of(shipped))
    model = network.explain(network.build_backbone(WEIGHTS), head)
    assert_same(keras(model, images), litert(shipped.content, images))


def test_shipped_int8_and_float32_agree(images: NDArray[np.float32]) -> None:
    int8, float32 = (
        litert(load_bundle(SHIPPED_MODELS, NAME, "0.1.0", variant).content, images)
        for variant in (Variant.INT8, Variant.FLOAT32)
    )
    assert_int8_close(int8, float32)
