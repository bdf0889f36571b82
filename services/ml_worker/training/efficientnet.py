"""EfficientNet-B0 (Tan and Le 2019): all of it is trained, since the project has no ImageNet weights for it."""

from pathlib import Path

from tensorflow import keras

from services.ml_worker.training.network import INPUT_SHAPE, Backbone, ToGrey


def efficientnet_b0(weights: Path | None) -> Backbone:
    """From scratch, or from a Keras weights file without its top."""
    base = keras.applications.EfficientNetB0(include_top=False, input_shape=INPUT_SHAPE, weights=None)
    if weights is not None:
        base.load_weights(weights)
    image, middle = keras.Input(INPUT_SHAPE, name="image"), keras.Input(INPUT_SHAPE, name="middle")
    lower = keras.Model(image, ToGrey()(image))
    start = "given weights" if weights else "from scratch"
    # Its own first layers take 0 to 255.
    upper = keras.Model(middle, base(keras.layers.Rescaling(255.0)(middle)))
    return Backbone(f"EfficientNet-B0 ({start}, all trained)", lower, upper)
