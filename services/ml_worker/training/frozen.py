"""The part of the backbone that is never trained, run by LiteRT: several times faster than Keras on a CPU.

Its output for one view of an image is computed once and shared by all folds and seeds that train on it.
"""

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tensorflow import keras

from services.ml_worker.training.export import to_float32
from services.ml_worker.training.pixels import Grey, as_batch

#: [n, 28, 28, 32] of the MobileNetV2 lower part; half precision halves 100 kB an image.
Middle = NDArray[np.float16]


class Frozen:
    """A Keras model turned into LiteRT, one image at a time: in larger batches its maps leave the cache."""

    def __init__(self, lower: keras.Model, threads: int = 2) -> None:
        self._content = to_float32(lower)
        self._interpreter = Interpreter(model_content=self._content, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, pixels: Grey) -> Middle:
        """[n, 224, 224] grey to the middle maps."""
        return np.concatenate([self._one(image) for image in pixels])

    def _one(self, image: Grey) -> Middle:
        self._interpreter.set_tensor(self._input, as_batch(image[np.newaxis]))
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output), dtype=np.float16)
