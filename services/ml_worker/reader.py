"""From fetched bytes to a reading: decode -> preprocess -> infer -> preview, with timings, for each frame to read."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from PIL import Image

from services.ml_worker import image, logic
from services.ml_worker.dicom import check_dicom
from services.ml_worker.installed import InstalledModels
from services.ml_worker.model import Bundle, Model, RawOutputs
from services.ml_worker.settings import MlWorkerSettings
from services.ml_worker.views import average, views
from shared.contracts import DicomSource, MlReading
from shared.errors import ModelMissingError
from shared.image.decoder import Decoder
from shared.image.picture import DecodedImage
from shared.observe import tracing


@dataclass(frozen=True)
class ReadImage:
    """A reading and the picture it can be drawn over (JPEG, at most 512 px a side)."""

    reading: MlReading
    preview: bytes
    #: Of a DICOM upload: `Blob.DICOM_HEADER`.
    header: str | None = None


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

    def read(self, data: bytes, *, wish: str | None, source: DicomSource | None = None) -> ReadImage:
        """Read one upload with the model asked for, the default one if none was; of several frames those asked for.

        source: what the gateway found in a DICOM header. ImageError where the image cannot be decoded, is of a modality
        that the model is not made for, or is not the one that `source` names; ModelMissingError where the model is not
        installed here.
        """
        bundle = self._installed.named(wish)
        if bundle is None:
            raise ModelMissingError(f"The model {wish} is not installed at the ML worker.")
        read: list[MlReading] = []
        preview, header, watch = b"", None, Stopwatch()
        frames = self._decoder.frames(data, source.frame if source else "middle")
        with closing(frames):
            for decoded in _lapped(frames, watch):
                if decoded.dicom is not None:
                    header = decoded.dicom.header
                    check_dicom(decoded.dicom, source, bundle.card)
                read.append(self._read_one(bundle, decoded, watch))
                if logic.chosen(read) is read[-1]:
                    preview = image.preview(decoded.pixels)
                watch.lap("preview")
        reading = logic.of_all(read).model_copy(update={"timings_ms": watch.laps_ms})
        return ReadImage(reading, preview, header)

    def _read_one(self, bundle: Bundle, decoded: DecodedImage, watch: "Stopwatch") -> MlReading:
        outputs = self._outputs(bundle, decoded.pixels)
        watch.lap("infer")
        reading = logic.reading(
            average(outputs),
            bundle.card,
            bundle.ref,
            size=(decoded.width, decoded.height),
            notes=decoded.notes,
            timings_ms={},
        )
        return reading.model_copy(update={"views": len(outputs), "frame": decoded.frame})

    def _outputs(self, bundle: Bundle, pixels: Image.Image) -> list[RawOutputs]:
        shown = views(pixels) if self._settings.ml_tta else (pixels,)
        return [self._model(bundle).infer(image.preprocess(one)) for one in shown]

    def _model(self, bundle: Bundle) -> Model:
        """The loaded model; loading takes about a hundredth of a second."""
        sha256 = bundle.ref.sha256
        if sha256 not in self._open:
            self._open[sha256] = bundle.open(self._settings.threads)
        return self._open[sha256]


def _lapped(frames: Iterator[DecodedImage], watch: "Stopwatch") -> Iterator[DecodedImage]:
    for decoded in frames:
        watch.lap("decode")
        yield decoded


class Stopwatch:
    """Names the pieces of a stretch of work and times them, in milliseconds."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End the piece `name` here; it may come in several."""
        now = time.perf_counter()
        tracing.passed(name, now - self._last)
        self._laps[name] = round(self._laps.get(name, 0) + (now - self._last) * 1000, 3)
        self._last = now

    @property
    def laps_ms(self) -> dict[str, float]:
        """All pieces so far, and their `total`."""
        return {**self._laps, "total": round((self._last - self._start) * 1000, 3)}
