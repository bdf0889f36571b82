"""From stored bytes to a reading: fetch is done, so decode -> preprocess -> infer -> preview, with timings."""

import time
from dataclasses import dataclass
from functools import cached_property

from services.ml_worker import image, logic
from services.ml_worker.model import Bundle, Model
from shared.contracts import MlReading


@dataclass(frozen=True)
class ReadImage:
    """A reading and the picture it can be drawn over (JPEG, at most 512 px a side)."""

    reading: MlReading
    preview: bytes


class Reader:
    """One process's model. Made before the fork, loaded by each child after it."""

    def __init__(self, bundle: Bundle, *, threads: int, max_pixels: int) -> None:
        self._bundle = bundle
        self._threads = threads
        self._max_pixels = max_pixels

    @cached_property
    def model(self) -> Model:
        """The loaded model; loading takes well under a second."""
        return self._bundle.open(self._threads)

    def read(self, data: bytes) -> ReadImage:
        """Read one uploaded PNG or JPEG; ImageError where it cannot be decoded."""
        watch = Stopwatch()
        decoded = image.decode(data, max_pixels=self._max_pixels)
        watch.lap("decode")
        raw = self.model.infer(image.preprocess(decoded.pixels))
        watch.lap("infer")
        preview = image.preview(decoded.pixels)
        watch.lap("preview")
        bundle = self._bundle
        reading = logic.reading(raw, bundle.card, bundle.ref, notes=decoded.notes, timings_ms=watch.laps_ms)
        return ReadImage(reading, preview)


class Stopwatch:
    """Names the pieces of a stretch of work and times them, in milliseconds."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End the piece `name` here."""
        now = time.perf_counter()
        self._laps[name] = round((now - self._last) * 1000, 3)
        self._last = now

    @property
    def laps_ms(self) -> dict[str, float]:
        """All pieces so far, and their `total`."""
        return {**self._laps, "total": round((self._last - self._start) * 1000, 3)}
