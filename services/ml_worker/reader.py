"""From fetched bytes to a reading: decode -> preprocess -> infer -> preview, with timings."""

import time
from dataclasses import dataclass

from PIL import Image

from services.ml_worker import image, logic
from services.ml_worker.installed import InstalledModels
from services.ml_worker.model import Bundle, Model, RawOutputs
from services.ml_worker.settings import MlWorkerSettings
from services.ml_worker.views import average, views
from shared.contracts import MlReading
from shared.errors import ModelMissingError
from shared.image.decoder import Decoder


@dataclass(frozen=True)
class ReadImage:
    """A reading and the picture it can be drawn over (JPEG, at most 512 px a side)."""

    reading: MlReading
    preview: bytes


class Reader:
    """One process's models. Made before the fork; each child loads what it needs after it."""

    def __init__(self, installed: InstalledModels, settings: MlWorkerSettings) -> None:
        self._installed = installed
        self._settings = settings
        self._open: dict[str, Model] = {}
        self._decoder = Decoder(settings, max_pixels=settings.max_pixels, least_side=image.PREVIEW_SIDE)

    def warm_up(self) -> None:
        """Load the default model and run it once: the first inference takes ten times as long as the next."""
        self._decoder.start()
        bundle = self._installed.bundles[self._installed.default]
        self._model(bundle).infer(image.preprocess(Image.new("L", (224, 224))))

    def read(self, data: bytes, *, wish: str | None) -> ReadImage:
        """Read one uploaded PNG or JPEG with the model asked for, the default one if none was.

        ImageError where the image cannot be decoded, ModelMissingError where the model is not installed here.
        """
        bundle = self._installed.named(wish)
        if bundle is None:
            raise ModelMissingError(f"The model {wish} is not installed at the ML worker.")
        watch = Stopwatch()
        decoded = self._decoder.decode(data)
        watch.lap("decode")
        outputs = self._outputs(bundle, decoded.pixels)
        watch.lap("infer")
        preview = image.preview(decoded.pixels)
        watch.lap("preview")
        reading = logic.reading(
            average(outputs),
            bundle.card,
            bundle.ref,
            size=(decoded.width, decoded.height),
            notes=decoded.notes,
            timings_ms=watch.laps_ms,
        )
        return ReadImage(reading.model_copy(update={"views": len(outputs)}), preview)

    def _outputs(self, bundle: Bundle, pixels: Image.Image) -> list[RawOutputs]:
        shown = views(pixels) if self._settings.ml_tta else (pixels,)
        return [self._model(bundle).infer(image.preprocess(one)) for one in shown]

    def _model(self, bundle: Bundle) -> Model:
        """The loaded model; loading takes about a hundredth of a second."""
        sha256 = bundle.ref.sha256
        if sha256 not in self._open:
            self._open[sha256] = bundle.open(self._settings.ml_threads)
        return self._open[sha256]


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
