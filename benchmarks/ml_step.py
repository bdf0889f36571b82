"""The ML step alone, decode to reading, one image at a time: what each choice costs, as ratios of one interleaved run.

`python -m benchmarks.ml_step RUNS` prints JSON; a process of its own, because TensorFlow stays in memory.
"""

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from PIL import Image

from benchmarks.drawn import pictures
from benchmarks.peers.reading import KerasReader
from services.ml_worker import image as ml_image
from services.ml_worker import logic
from services.ml_worker.installed import load_installed
from services.ml_worker.model import Model
from services.ml_worker.settings import MlWorkerSettings
from shared.image.decode import decode
from shared.image.decoder import Decoder
from shared.image.picture import DecodedImage

Variants = dict[str, Callable[[], object]]

#: What all else is compared with: what the worker does, but for the process that decodes.
OURS = "int8, 2 threads, draft decoding"
WORKER = "the same, decoded in another process"
SEED = "Keras predict (the seed)"


def main() -> int:
    """Measure and print."""
    runs = int(sys.argv[1])
    sys.stdout.write(json.dumps(measure(variants(pictures(1)[0]), runs)) + "\n")
    return 0


def variants(picture: bytes) -> Variants:
    """Each does the whole step once."""
    settings = MlWorkerSettings()
    installed = load_installed(settings)
    bundle = installed.bundles[installed.default]
    float32 = load_installed(MlWorkerSettings(model_variant="float32"))
    one, two = bundle.open(1), bundle.open(2)
    full = float32.bundles[float32.default].open(2)
    decoder = Decoder(settings, max_pixels=settings.max_pixels, least_side=ml_image.PREVIEW_SIDE)
    keras = KerasReader()
    most = settings.max_pixels
    decoded_once = decode(picture, max_pixels=most, least_side=ml_image.PREVIEW_SIDE)
    batch = ml_image.preprocess(decoded_once.pixels)

    def read(model: Model, decoded: DecodedImage) -> object:
        return logic.reading(
            model.infer(ml_image.preprocess(decoded.pixels)),
            bundle.card,
            bundle.ref,
            size=(decoded.width, decoded.height),
            notes=decoded.notes,
            timings_ms={},
        )

    def drafted(least_side: int = ml_image.PREVIEW_SIDE) -> DecodedImage:
        return decode(picture, max_pixels=most, least_side=least_side)

    def plain() -> DecodedImage:
        pixels = Image.open(BytesIO(picture)).convert("RGB")
        return DecodedImage(pixels, *pixels.size, notes=())

    return {
        OURS: lambda: read(two, drafted()),
        WORKER: lambda: read(two, decoder.decode(picture)),
        "int8, 1 thread": lambda: read(one, drafted()),
        "float32, 2 threads": lambda: read(full, drafted()),
        "plain Pillow decoding, in colour": lambda: read(two, plain()),
        "draft decoding to 224 px": lambda: read(two, drafted(ml_image.NETWORK_SIDE)),
        "decode alone": drafted,
        "preprocess alone": lambda: ml_image.preprocess(decoded_once.pixels),
        "infer alone": lambda: two.infer(batch),
        "infer alone, 1 thread": lambda: one.infer(batch),
        "preview alone": lambda: ml_image.preview(decoded_once.pixels),
        SEED: lambda: keras.read(picture),
    }


def measure(choices: Variants, runs: int) -> dict[str, Any]:
    """For each choice: median and least wall time in µs, and this process's processor time."""
    walls: dict[str, list[float]] = {name: [] for name in choices}
    spent: dict[str, list[float]] = {name: [] for name in choices}
    for call in choices.values():
        call()
    gc.disable()
    for _ in range(runs):
        for name, call in choices.items():
            cpu, began = time.process_time_ns(), time.perf_counter_ns()
            call()
            walls[name].append((time.perf_counter_ns() - began) / 1000)
            spent[name].append((time.process_time_ns() - cpu) / 1000)
    return {
        name: {
            "wall_us": statistics.median(walls[name]),
            "least_us": min(walls[name]),
            "cpu_us": statistics.median(spent[name]),
        }
        for name in choices
    }


if __name__ == "__main__":
    sys.exit(main())
