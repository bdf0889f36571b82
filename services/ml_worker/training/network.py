"""The seed's architecture in Keras: MobileNetV2 base, GAP, Dense(128, relu), Dropout(0.2), Dense(2).

`build_backbone` and `build_head` are what is trained; `explain` joins them into the network that is exported,
which gives the logits, the embedding and the Grad-CAM of both classes in one forward pass.
"""

from pathlib import Path
from typing import Any

from tensorflow import keras

from services.ml_worker.image import NETWORK_SIDE

INPUT_SHAPE = (NETWORK_SIDE, NETWORK_SIDE, 3)
HIDDEN_UNITS = 128
DROPOUT = 0.2


def build_backbone(weights: Path | None) -> keras.Model:
    """MobileNetV2 without its top: [n, 224, 224, 3] in [0, 1] to features [n, 7, 7, 1280].

    The weights expect [-1, 1]; the rescaling is part of the network, so that nobody can forget it. None
    gives random weights. Batch norm is only ever run in inference mode: its statistics in our weights are
    folded into the convolutions and must not be learned anew.
    """
    base = keras.applications.MobileNetV2(include_top=False, input_shape=INPUT_SHAPE, weights=None)
    if weights is not None:
        base.load_weights(weights)
    base.trainable = False
    image = keras.Input(INPUT_SHAPE, name="image")
    return keras.Model(image, base(keras.layers.Rescaling(2.0, offset=-1.0)(image), training=False))


def build_embedder(backbone: keras.Model) -> keras.Model:
    """Images to the global average of their features, [n, 1280]: all that a head sees of them."""
    return keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))


def build_head(features: int = 1280) -> keras.Sequential:
    """The seed's head: embeddings [n, features] to logits [n, 2]."""
    return keras.Sequential(
        [
            keras.Input((features,)),
            keras.layers.Dense(HIDDEN_UNITS, activation="relu", name="hidden"),
            keras.layers.Dropout(DROPOUT),
            keras.layers.Dense(2, name="logits"),
        ]
    )


class GradCam(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Grad-CAM of every logit for a GAP -> Dense(relu) -> Dense head, in closed form (DESIGN.md, "The readings").

    With A the feature map and h the hidden layer, the gradient of logit c with respect to A is the same at
    each of the 49 places: alpha_c = W1 (1[h > 0] * W2[:, c]) / 49. The map A alpha_c is given **signed**, so
    that its sum and the head's biases add up to the logit; whoever shows it applies the ReLU.
    """

    def __init__(self, head: keras.Sequential, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = head.get_layer("hidden")
        self.logits = head.get_layer("logits")

    def call(self, features: Any) -> dict[str, Any]:
        """Features [n, 7, 7, d] to `logits` [n, 2], `embedding` [n, d] and `cam` [n, 7, 7, 2]."""
        ops = keras.ops
        _, rows, columns, depth = features.shape
        embedding = ops.mean(features, axis=(1, 2))
        hidden = self.hidden(embedding)
        active = ops.cast(hidden > 0, hidden.dtype)
        paths = ops.expand_dims(active, 1) * ops.transpose(self.logits.kernel)
        alpha = ops.matmul(paths, ops.transpose(self.hidden.kernel)) / (rows * columns)
        places = ops.reshape(features, (-1, rows * columns, depth))
        cam = ops.matmul(places, ops.transpose(alpha, (0, 2, 1)))
        return {
            "logits": self.logits(hidden),
            "embedding": embedding,
            "cam": ops.reshape(cam, (-1, rows, columns, 2)),
        }


def explain(backbone: keras.Model, head: keras.Sequential) -> keras.Model:
    """The network to export: [n, 224, 224, 3] in [0, 1] to `logits`, `embedding` and signed `cam`."""
    return keras.Model(backbone.input, GradCam(head, name="explained")(backbone.output))
