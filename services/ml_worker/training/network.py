"""The seed's architecture in Keras: a backbone, GAP, Dense(128, relu), Dropout(0.2), Dense(2).

A backbone comes in two parts: `lower` stays as ImageNet left it, `upper` is fine-tuned. `explain` joins them
with the head into the network that is exported, which gives the logits, the embedding, the Grad-CAM of both
classes and the distance from the training images in one forward pass. Several fine-tuned networks on the same
frozen part become one, their average.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tensorflow import keras

from services.ml_worker.image import NETWORK_SIDE
from services.ml_worker.training.ood import Gate

INPUT_SHAPE = (NETWORK_SIDE, NETWORK_SIDE, 3)
HIDDEN_UNITS = 128
DROPOUT = 0.2
#: The last layer of the frozen part: fine-tuning starts at the next one, block_6_expand.
CUT = "block_5_add"


@dataclass(frozen=True)
class Backbone:
    """A network without its top, in the two parts that are trained differently."""

    #: As the card says it.
    title: str
    #: [n, 224, 224, 3] in [0, 1] to the map that `upper` takes; never trained.
    lower: keras.Model
    #: To the last feature map, [n, 7, 7, d].
    upper: keras.Model

    @property
    def depth(self) -> int:
        """Channels of the last feature map."""
        return int(self.upper.output_shape[-1])


class ToGrey(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """RGB to luminance in three equal channels (ITU-R BT.601, as Pillow's mode L): no tint reaches the network."""

    def call(self, image: Any) -> Any:
        """[n, h, w, 3] to the same shape."""
        shares = keras.ops.reshape(keras.ops.convert_to_tensor((0.299, 0.587, 0.114)), (1, 1, 1, 3))
        grey = keras.ops.sum(image * shares, axis=-1, keepdims=True)
        return keras.ops.concatenate((grey, grey, grey), axis=-1)


def mobilenet(weights: Path | None) -> Backbone:
    """MobileNetV2, ImageNet weights from a file; None gives random ones.

    The weights expect [-1, 1]; the rescaling is part of the network, so that nobody can forget it. Batch norm
    is only ever run in inference mode: its statistics in our weights are folded into the convolutions and must
    not be learned anew.
    """
    base = keras.applications.MobileNetV2(include_top=False, input_shape=INPUT_SHAPE, weights=None)
    if weights is not None:
        base.load_weights(weights)
    for layer in base.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    middle = base.get_layer(CUT).output
    lower = _sealed(keras.Model(base.input, middle), (ToGrey(), keras.layers.Rescaling(2.0, offset=-1.0)))
    lower.trainable = False
    title = f"MobileNetV2 ({'ImageNet' if weights else 'random'}; fine-tuned from block_6_expand, batch norm frozen)"
    return Backbone(title, lower, _sealed(keras.Model(middle, base.output)))


def _sealed(part: keras.Model, before: tuple[keras.layers.Layer, ...] = ()) -> keras.Model:
    """`part` behind the layers `before`, with batch norm (and dropout) in inference mode for ever."""
    given = keras.Input(part.input_shape[1:], name="image" if before else "middle")
    value = given
    for layer in before:
        value = layer(value)
    return keras.Model(given, part(value, training=False))


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


def embedder(upper: keras.Model) -> keras.Model:
    """Middle maps to the global average of the last feature map, [n, d]: all that a head sees of an image."""
    return keras.Model(upper.input, keras.layers.GlobalAveragePooling2D()(upper.output))


def classifier(upper: keras.Model, head: keras.Sequential) -> keras.Model:
    """Middle maps to logits [n, 2]: what is trained."""
    return keras.Model(upper.input, head(keras.layers.GlobalAveragePooling2D()(upper.output)))


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


class Distance(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """`Gate.distance` inside the network, so that its constants travel in the one checked file."""

    def __init__(self, gate: Gate, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gate = gate

    def call(self, middle: Any) -> Any:
        """Middle maps [n, h, w, c] to distances [n]."""
        ops = keras.ops
        mean = ops.mean(middle, axis=(1, 2), keepdims=True)
        spread = ops.sqrt(ops.mean(ops.square(middle - mean), axis=(1, 2)))
        found = ops.concatenate((ops.reshape(mean, ops.shape(spread)), spread), axis=-1)
        apart = ops.matmul(found - self.gate.mean, self.gate.whiten)
        return ops.sqrt(ops.mean(ops.square(apart), axis=-1))


class Member(NamedTuple):
    """One trained network behind the frozen part."""

    upper: keras.Model
    head: keras.Sequential


class Mean(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Of the members' values. Not as Keras's Average, an ADD: the backbone has some, so the exporter rounds them."""

    def call(self, values: Any) -> Any:
        """Tensors of one shape to their mean, of that shape."""
        return keras.ops.mean(keras.ops.stack(values), axis=0)


def explain(lower: keras.Model, members: Sequence[Member], gate: Gate) -> keras.Model:
    """The network to export: [n, 224, 224, 3] to `logits`, `embedding`, signed `cam` and `distance`.

    Of several members the logits and the maps are averaged and the embeddings joined. A logit is the sum of its
    map and its biases in each member, so the averages add up as well.
    """
    middle = lower.output
    found = [
        GradCam(member.head, name=f"explained_{number}")(member.upper(middle))
        for number, member in enumerate(members)
    ]
    outputs = {
        "logits": _merged(Mean(), [each["logits"] for each in found]),
        "embedding": _merged(keras.layers.Concatenate(), [each["embedding"] for each in found]),
        "cam": _merged(Mean(), [each["cam"] for each in found]),
        "distance": Distance(gate, name="distance")(middle),
    }
    return keras.Model(lower.input, outputs)


def _merged(merge: keras.layers.Layer, values: list[Any]) -> Any:
    return merge(values) if len(values) > 1 else values[0]
