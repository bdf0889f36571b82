"""The weights of a bundle's head, read from the model file itself."""

from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from services.ml_worker.model import Bundle

Floats = NDArray[np.float64]


class Head(NamedTuple):
    """Weights as [out, in], the way LiteRT keeps them."""

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats


def head_of(bundle: Bundle) -> Head:
    """Both Dense layers, found by the shape of their kernels."""
    interpreter = Interpreter(model_content=bundle.content)
    operations = [op for op in interpreter._get_ops_details() if op["op_name"] == "FULLY_CONNECTED"]
    dense = {tuple(interpreter.get_tensor(op["inputs"][1]).shape): op["inputs"] for op in operations}
    parts = [
        interpreter.get_tensor(dense[shape][place]) for shape in ((128, 1280), (2, 128)) for place in (1, 2)
    ]
    return Head(*(np.asarray(part, dtype=float) for part in parts))
