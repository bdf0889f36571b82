"""A network of the kind we train, small enough to train and export in seconds."""

from pathlib import Path
from typing import Any


def small_backbone(_weights: Path | None = None) -> Any:
    """Frozen part to [n, 28, 28, 32], trained part to [n, 7, 7, 64]; eight convolutions in all."""
    from tensorflow.keras import Input, Model, initializers, layers  # noqa: PLC0415

    from services.ml_worker.training.network import Backbone, ToGrey  # noqa: PLC0415

    # Keras's He initialiser counts a depthwise kernel's channels as inputs, which they are not.
    lively = initializers.RandomNormal(stddev=0.5, seed=1)

    image, middle = Input((224, 224, 3), name="image"), Input((28, 28, 32), name="middle")
    value = layers.Rescaling(2.0, offset=-1.0)(ToGrey()(image))
    for depth in (16, 32, 32):
        value = layers.Conv2D(depth, 3, 2, "same", kernel_initializer="he_normal")(value)
        value = layers.ReLU(6.0)(value)
    lower = Model(image, value)
    value = middle
    for _ in range(2):
        value = layers.DepthwiseConv2D(3, 2, "same", depthwise_initializer=lively)(value)
        value = layers.Conv2D(64, 1, kernel_initializer="he_normal")(value)
        value = layers.ReLU(6.0)(value)
    return Backbone("small", lower, Model(middle, layers.Conv2D(64, 1, activation="relu")(value)))
