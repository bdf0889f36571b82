"""The Gemini task: claim -> fetch -> bare pixels -> ask -> settle. A failure is a stored reading, never an error."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery import Celery

from services.gemini_worker import logic
from services.gemini_worker.budget import read_with_budget
from services.gemini_worker.client import SecondReader, build
from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.image import prepare_image
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import GeminiReading, UnavailableReading, UnavailableReason
from shared.errors import BlobMissingError, ImageError
from shared.ledger import Claim
from shared.names import Stage, Task
from shared.worker import Resources, settle, work_on

_NO_KEY = UnavailableReading(
    reason=UnavailableReason.NOT_CONFIGURED,
    detail="This Gemini worker has no key.",
)


def register(app: Celery, settings: GeminiWorkerSettings) -> None:
    """Make the task known to `app`."""
    resources = Resources(app, settings)
    asker = Asker(settings)

    @app.task(name=Task.GEMINI_READ, bind=True)  # type: ignore[untyped-decorator]
    def read(task: Any, job: str) -> None:
        work_on(resources, Stage.GEMINI, job, task.request.id, lambda claim: _read(resources, asker, claim))


class Asker:
    """One process's way to Gemini. The library is imported here, at start-up, and not on the first job's time."""

    def __init__(self, settings: GeminiWorkerSettings) -> None:
        self._settings = settings
        self._reader = build(settings) if settings.gemini_api_key else None
        # Readings wait side by side, but one thread decodes for all of them: each of eight kept its own 200 MB of
        # malloc's after an image of 30 megapixels, which is more than a container of 1 GiB has.
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decode")

    def ask(self, data: bytes) -> GeminiReading | UnavailableReading:
        """Gemini's reading of an uploaded image, or why there is none."""
        if self._reader is None:
            return _NO_KEY
        try:
            return self._ask(self._reader, data)
        except ReadingFailedError as failure:
            return UnavailableReading(reason=failure.reason, detail=failure.detail)
        except ImageError as error:
            return UnavailableReading(reason=UnavailableReason.IMAGE_UNREADABLE, detail=error.detail)

    def _ask(self, reader: SecondReader, data: bytes) -> GeminiReading:
        knobs = self._settings
        start = time.perf_counter()
        side, pixels = knobs.gemini_max_image_side_px, knobs.gemini_max_image_pixels
        bare = self._decoder.submit(prepare_image, data, max_side_px=side, max_pixels=pixels).result()
        prepared = time.perf_counter()
        answer = logic.parse_answer(read_with_budget(reader, bare, knobs))
        done = time.perf_counter()
        timings = {"prepare": prepared - start, "call": done - prepared, "total": done - start}
        timings_ms = {name: round(seconds * 1000, 3) for name, seconds in timings.items()}
        return logic.reading(
            answer, model=knobs.gemini_model, client=knobs.gemini_client, timings_ms=timings_ms
        )


def _read(resources: Resources, asker: Asker, claim: Claim) -> None:
    try:
        data = resources.blobs.get_checked(claim.job.image_path, claim.job.image.sha256)
    except BlobMissingError as error:
        settle(
            resources,
            claim,
            UnavailableReading(reason=UnavailableReason.IMAGE_UNREADABLE, detail=error.detail),
        )
        return
    settle(resources, claim, asker.ask(data))
