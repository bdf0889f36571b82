"""From the Keras network to LiteRT files: float32, and int8 with the parts kept in float that need it."""

import tempfile
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tensorflow import keras

from services.ml_worker.model import Variant

#: What the head is made of. An int8 Dense rounds logits to 1/256 of their range, which spoils calibration and
#: the completeness of the Grad-CAM; in float the head costs next to nothing.
_HEAD_OPS = [
    "BATCH_MATMUL",
    "CAST",
    "CONCATENATION",
    "FULLY_CONNECTED",
    "GREATER",
    "MEAN",
    "MUL",
    "PACK",
    "RESHAPE",
    "SQRT",
    "SQUARE",
    "SQUARED_DIFFERENCE",
    "SUB",
    "SUM",
    "TRANSPOSE",
]
#: The frozen part (stem and blocks 1 to 5) stays in float, so that the distance is that of the float network
#: (docs/model-card.md, "int8").
_FLOAT_CONVOLUTIONS = 18

Batches = Callable[[], Iterator[list[NDArray[np.float32]]]]


def export(network: keras.Model, images: NDArray[np.float32]) -> dict[Variant, bytes]:
    """The LiteRT file of each variant, for one image at a time.

    `images`, [n, 224, 224, 3] in [0, 1], about a hundred from training, show which ranges int8 must cover.
    """
    with tempfile.TemporaryDirectory() as folder:
        _save(network, folder)
        float32 = bytes(_converter(folder).convert())
        int8 = _quantise(folder, images, keep=_nodes_kept_in_float(float32))
    return {Variant.FLOAT32: float32, Variant.INT8: int8}


def to_float32(network: keras.Model) -> bytes:
    """The LiteRT file of any Keras model with one input, in float, for one image at a time."""
    with tempfile.TemporaryDirectory() as folder:
        _save(network, folder)
        return bytes(_converter(folder).convert())


def to_int8(network: keras.Model, images: NDArray[np.float32]) -> bytes:
    """The same wholly in int8, for the ranges that `images` [n, h, w, c] show."""
    with tempfile.TemporaryDirectory() as folder:
        _save(network, folder)
        converter = _converter(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = _one_at_a_time(images)
        return bytes(converter.convert())


def _save(network: keras.Model, folder: str) -> None:
    """As a SavedModel with a batch of one: a known size spares the file all arithmetic on shapes."""
    image = tf.TensorSpec([1, *network.input_shape[1:]], tf.float32, name="image")
    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.add_endpoint("serve", network, input_signature=[image])
    archive.write_out(folder, verbose=False)


def _converter(folder: str) -> tf.lite.TFLiteConverter:
    return tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serve"])


def _quantise(folder: str, images: NDArray[np.float32], keep: list[str]) -> bytes:
    """Everything to int8 but the head's operations and the nodes named in `keep`."""
    samples = _one_at_a_time(images)
    converter = _converter(folder)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_ops=_HEAD_OPS, denylisted_nodes=keep, fully_quantize=False
    )
    with warnings.catch_warnings():
        # The debugger is the one public way to quantise part of a graph; its own parts are deprecated.
        warnings.simplefilter("ignore")
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=samples, debug_options=options
        )
        return bytes(debugger.get_nondebug_quantized_model())


def _one_at_a_time(images: NDArray[np.float32]) -> Batches:
    return lambda: ([image[np.newaxis]] for image in images)


def _nodes_kept_in_float(float32: bytes) -> list[str]:
    """Names of the outputs of all operations up to the last convolution that stays in float."""
    interpreter = Interpreter(model_content=float32)
    names = {tensor["index"]: tensor["name"] for tensor in interpreter.get_tensor_details()}
    operations = interpreter._get_ops_details()  # noqa: SLF001  # nothing public names a graph's nodes
    convolutions = [place for place, op in enumerate(operations) if op["op_name"].endswith("CONV_2D")]
    last = convolutions[min(_FLOAT_CONVOLUTIONS, len(convolutions) // 2) - 1]
    return [names[op["outputs"][0]] for op in operations[: last + 1]]
