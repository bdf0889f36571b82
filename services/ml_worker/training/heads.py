"""The heads of a bundle's network, read from the model file itself, so that no check repeats the graph's own sums."""

from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

#: Units of the first Dense layer (`network.py`, which would bring TensorFlow along).
HIDDEN_UNITS = 128
LABELS = 2

Floats = NDArray[np.float64]


class Head(NamedTuple):
    """Weights as [out, in], the way LiteRT keeps them."""

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats

    @property
    def depth(self) -> int:
        """Numbers of the embedding that it sees."""
        return int(self.w1.shape[1])


def heads_of(content: bytes) -> list[Head]:
    """The head of each member, in the order in which their embeddings are joined.

    Both Dense layers are found by the shape of their kernels, and belong together where one feeds the other.
    """
    interpreter = Interpreter(model_content=content)
    operations = interpreter._get_ops_details()  # noqa: SLF001  # nothing public lists operations
    shapes = {tensor["index"]: tuple(tensor["shape"]) for tensor in interpreter.get_tensor_details()}
    dense = [op for op in operations if op["op_name"] == "FULLY_CONNECTED"]
    hidden = {op["outputs"][0]: op for op in dense if shapes[op["inputs"][1]][0] == HIDDEN_UNITS}
    pairs = {
        hidden[op["inputs"][0]]["inputs"][0]: (hidden[op["inputs"][0]], op)
        for op in dense
        if shapes[op["inputs"][1]] == (LABELS, HIDDEN_UNITS)
    }
    return [_head(interpreter, *pairs[embedding]) for embedding in _joined(operations, list(pairs))]


def _joined(operations: list[dict[str, Any]], embeddings: list[int]) -> list[int]:
    """The members' embeddings in the order of the operation that joins them; as they are for a single one."""
    orders = (op["inputs"] for op in operations if op["op_name"] == "CONCATENATION")
    found = next((order for order in orders if set(order) == set(embeddings)), embeddings)
    return [int(embedding) for embedding in found]


def _head(interpreter: Interpreter, hidden: dict[str, Any], logits: dict[str, Any]) -> Head:
    parts = [interpreter.get_tensor(op["inputs"][place]) for op in (hidden, logits) for place in (1, 2)]
    return Head(*(np.asarray(part, dtype=np.float64) for part in parts))
