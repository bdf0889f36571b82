"""A small vision transformer (Dosovitskiy et al. 2021): 49 patches of 32 px, four blocks; trained from scratch.

Its last map is [n, 7, 7, d] like a convolutional network's, so head and heatmap stay as they are.
"""

from pathlib import Path
from typing import Any

from tensorflow import keras

from services.ml_worker.training.network import INPUT_SHAPE, Backbone, ToGrey

PATCH = 32
WIDTH = 192
HEADS = 3
BLOCKS = 4


class Positions(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Adds a learned vector to each patch: attention alone does not know where a patch lies."""

    def build(self, shape: tuple[int, ...]) -> None:
        """For tokens [n, patches, width]."""
        self.vectors = self.add_weight(shape=(1, *shape[1:]), initializer="random_normal", name="vectors")

    def call(self, tokens: Any) -> Any:
        """[n, patches, width] to the same."""
        return tokens + self.vectors


def vit_small(weights: Path | None) -> Backbone:
    """1.5 million parameters; `weights`, if given, are of this very network."""
    image, middle = keras.Input(INPUT_SHAPE, name="image"), keras.Input(INPUT_SHAPE, name="middle")
    lower = keras.Model(image, keras.layers.Rescaling(2.0, offset=-1.0)(ToGrey()(image)))
    patches = keras.layers.Conv2D(WIDTH, PATCH, PATCH)(middle)
    side = INPUT_SHAPE[0] // PATCH
    tokens = Positions()(keras.layers.Reshape((side * side, WIDTH))(patches))
    for _ in range(BLOCKS):
        tokens = _block(tokens)
    tokens = keras.layers.LayerNormalization()(tokens)
    upper = keras.Model(middle, keras.layers.Reshape((side, side, WIDTH))(tokens))
    if weights is not None:
        upper.load_weights(weights)
    return Backbone(
        f"ViT ({BLOCKS} blocks of width {WIDTH}, patches of {PATCH} px, from scratch)", lower, upper
    )


def _block(tokens: Any) -> Any:
    """Attention, then two Dense layers, each behind a layer norm and beside a short cut."""
    layers = keras.layers
    normed = layers.LayerNormalization()(tokens)
    tokens = tokens + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(normed, normed)
    hidden = layers.Dense(2 * WIDTH, activation="gelu")(layers.LayerNormalization()(tokens))
    return tokens + layers.Dense(WIDTH)(hidden)
