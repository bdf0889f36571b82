"""What all peers do with an image, as a textbook does it: Pillow opens it, the network reads it."""

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_SIDE = 224
_LABELS = ("Negative", "Positive")
#: The file that MediScan serves with.
_BUNDLES = Path(__file__).parents[2] / "services" / "ml_worker" / "models" / "brain-mri-mobilenetv2"


def pixels(data: bytes) -> Any:
    """[1, 224, 224, 3], RGB in [0, 1]."""
    image = Image.open(BytesIO(data)).convert("RGB").resize((_SIDE, _SIDE))
    return np.asarray(image, dtype=np.float32)[np.newaxis] / 255.0


class LiteRtReader:
    """The network that MediScan ships, run by LiteRT on one thread."""

    def __init__(self) -> None:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - not all peers have it

        newest = max(path for path in _BUNDLES.iterdir() if path.is_dir())
        self._interpreter = Interpreter(str(newest / "model.tflite"), num_threads=1)
        self._run = self._interpreter.get_signature_runner()

    def read(self, data: bytes) -> dict[str, Any]:
        """Label and confidence."""
        return _verdict(_softmax(self._run(image=pixels(data))["logits"][0]))


class KerasReader:
    """The seed's network in Keras: the same layers. Its weights are random, which costs the same."""

    def __init__(self) -> None:
        from tensorflow import keras  # noqa: PLC0415 - takes seconds, and not all peers need it

        base = keras.applications.MobileNetV2(input_shape=(_SIDE, _SIDE, 3), include_top=False, weights=None)
        layers = keras.layers
        self._model = keras.Sequential(
            [
                base,
                layers.GlobalAveragePooling2D(),
                layers.Dense(128, activation="relu"),
                layers.Dropout(0.2),
                layers.Dense(2, activation="softmax"),
            ]
        )
        self._model.predict(np.zeros((1, _SIDE, _SIDE, 3), np.float32), verbose=0)

    def read(self, data: bytes) -> dict[str, Any]:
        """Label and confidence."""
        return _verdict(self._model.predict(pixels(data), verbose=0)[0])


def reader(kind: str) -> "LiteRtReader | KerasReader":
    """By name: `litert` or `keras`."""
    return KerasReader() if kind == "keras" else LiteRtReader()


def _softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _verdict(probabilities: Any) -> dict[str, Any]:
    best = int(np.argmax(probabilities))
    return {"label": _LABELS[best], "confidence": float(probabilities[best])}


def port() -> int:
    """Where to listen, from the command line."""
    return int(sys.argv[1])
