"""The Gemini task: claim -> fetch -> bare pixels -> ask -> settle. A failure is a stored reading, never an error."""

import time
from typing import Any

from celery import Celery

from services.gemini_worker import logic
from services.gemini_worker.budget import read_with_budget
from services.gemini_worker.circuit import CircuitBreaker
from services.gemini_worker.client import build
from services.gemini_worker.decoder import Decoder
from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.guarded import GuardedReader
from services.gemini_worker.limit import RequestLimit
from services.gemini_worker.reader import SecondReader
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import FrameWish, GeminiReading, UnavailableReading, UnavailableReason
from shared.errors import BlobMissingError, ImageError
from shared.ledger import Claim
from shared.ledger.connection import connect
from shared.names import Stage, Task
from shared.observe import tracing
from shared.token_bucket import TokenBuckets
from shared.worker import Resources, settle, work_on

#: How long circuit and limits ride out an absent Redis; it is the reading's time that passes.
_PATIENCE_S = 2.0

#: The share of a reading's time that no decoding and no limit of ours may use up: a slow answer to a call that began
#: late would be taken for a failing Gemini.
_CALL_SHARE = 0.5

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
        self._reader = _guarded(settings) if settings.gemini_api_key else None
        self._decoder = Decoder(settings)

    def ask(self, data: bytes, frame: FrameWish = "middle") -> GeminiReading | UnavailableReading:
        """Gemini's reading of an uploaded image, of several frames the one wished for, or why there is none.

        LedgerUnavailableError when Redis is away.
        """
        if self._reader is None:
            return _NO_KEY
        try:
            return self._ask(self._reader, data, frame)
        except ReadingFailedError as failure:
            return UnavailableReading(reason=failure.reason, detail=failure.detail)
        except ImageError as error:
            return UnavailableReading(reason=UnavailableReason.IMAGE_UNREADABLE, detail=error.detail)

    def _ask(self, reader: SecondReader, data: bytes, frame: FrameWish) -> GeminiReading:
        knobs = self._settings
        start = time.perf_counter()
        bare = self._decoder.prepare(data, frame, timeout_s=knobs.gemini_timeout_s * (1 - _CALL_SHARE))
        prepared = time.perf_counter()
        tracing.passed("prepare", prepared - start)
        with tracing.span("gemini call", model=knobs.gemini_model):
            answer = logic.parse_answer(read_with_budget(reader, bare, knobs, spent_s=prepared - start))
        done = time.perf_counter()
        timings = {"prepare": prepared - start, "call": done - prepared, "total": done - start}
        timings_ms = {name: round(seconds * 1000, 3) for name, seconds in timings.items()}
        return logic.reading(
            answer, model=knobs.gemini_model, client=knobs.gemini_client, timings_ms=timings_ms
        )


def _guarded(settings: GeminiWorkerSettings) -> SecondReader:
    redis = connect(settings, patience_s=_PATIENCE_S)
    limit = RequestLimit(TokenBuckets(redis), settings)
    call_s = settings.gemini_timeout_s * _CALL_SHARE
    return GuardedReader(build(settings), CircuitBreaker(redis, settings), limit, call_s=call_s)


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
    source = claim.job.image.dicom
    settle(resources, claim, asker.ask(data, source.frame if source else "middle"))
