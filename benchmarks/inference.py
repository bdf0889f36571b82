"""What an inference is made of, and what int8 gains where: `python -m benchmarks.inference`, half a minute.

Networks of the shipped shape with random weights, which cost the same: all of MobileNetV2, its frozen part alone, each
in float32 and wholly in int8; and what stands before it. One thread, in turns; the least processor time of each.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tensorflow import keras

from benchmarks.say import say
from services.ml_worker.installed import load_installed
from services.ml_worker.settings import MlWorkerSettings
from services.ml_worker.training.export import to_float32, to_int8
from services.ml_worker.training.network import CUT, INPUT_SHAPE, ToGrey

_ROUNDS, _RUNS = 10, 20
_EXAMPLES = 10
#: As the network wants it: one image.
_INPUT = (1, *INPUT_SHAPE)

Run = Callable[[], object]


def main() -> int:
    """Measure and print."""
    runs = {name: _run(content) for name, content in _networks()}
    least = dict.fromkeys(runs, float("inf"))
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            least[name] = min(least[name], *(_cpu_ms(run) for _ in range(_RUNS)))
    for name, cost in least.items():
        say(f"{name}: {cost:.2f} ms")
    return 0


def _networks() -> Iterator[tuple[str, bytes]]:
    for variant in ("int8", "float32"):
        installed = load_installed(MlWorkerSettings(model_variant=variant))
        yield f"as it ships, {variant}", installed.bundles[installed.default].content
    base = keras.applications.MobileNetV2(include_top=False, input_shape=INPUT_SHAPE, weights=None)
    examples = np.concatenate([_noise(seed) for seed in range(_EXAMPLES)])
    parts = {
        "MobileNetV2": base,
        "its frozen part": keras.Model(base.input, base.get_layer(CUT).output),
    }
    for name, part in parts.items():
        image = keras.Input(INPUT_SHAPE)
        network = keras.Model(image, part(image, training=False))
        yield f"{name}, float32", to_float32(network)
        yield f"{name}, int8", to_int8(network, examples)
    image = keras.Input(INPUT_SHAPE)
    before = keras.layers.Rescaling(2.0, offset=-1.0)(ToGrey()(image))
    yield "to grey and to [-1, 1], float32", to_float32(keras.Model(image, before))


def _run(content: bytes) -> Run:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], _noise(0))
    invoke: Run = interpreter.invoke
    return invoke


def _cpu_ms(run: Run) -> float:
    before = time.process_time()
    run()
    return 1e3 * (time.process_time() - before)


def _noise(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(_INPUT, dtype=np.float32)


if __name__ == "__main__":
    sys.exit(main())
