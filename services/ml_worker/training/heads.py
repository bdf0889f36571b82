"""The weights of a bundle's head, read from the model file itself, so that no check repeats the graph's own sums."""

from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

#: Units of the first Dense layer (`network.py`, which would bring TensorFlow along).
HIDDEN_UNITS = 128

Floats = NDArray[np.float64]


class Head(NamedTuple):
    """Weights as [out, in], the way LiteRT keeps them."""

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats


def head_of(content: bytes) -> Head:
    """Both Dense layers of a LiteRT file, found by the shape of their kernels."""
    interpreter = Interpreter(model_content=content)
    operations = [op for op in interpreter._get_ops_details() if op["op_name"] == "FULLY_CONNECTED"]  # noqa: SLF001  # nothing public lists operations
    dense = {tuple(interpreter.get_tensor(op["inputs"][1]).shape): op["inputs"] for op in operations}
    hidden = next(shape for shape in dense if shape[0] == HIDDEN_UNITS)
    shapes = (hidden, (2, HIDDEN_UNITS))
    parts = [interpreter.get_tensor(dense[shape][place]) for shape in shapes for place in (1, 2)]
    return Head(*(np.asarray(part, dtype=np.float64) for part in parts))
