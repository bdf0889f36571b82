"""A job's steps as server-sent events. Pure: the same job gives the same events, so that replay needs no store.

An event's id is the set of all events told so far, as bits: it grows. So whatever the ledger's clock does to the
order of two steps, a stream that goes on after an id tells each of the others once.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.contracts import GeminiReading, JobView, MlReading, SkippedReading, UnavailableReading
from shared.job_state import TERMINAL

#: A bit each; all ways to end share one, for a job ends once.
_BITS = (
    "queued",
    "gemini.skipped",
    "ml.started",
    "gemini.started",
    "ml.done",
    "gemini.done",
    "gemini.unavailable",
    "fusion.started",
    "over",
)
#: All that a stream may tell.
EVENT_TYPES = [*_BITS[:-1], *sorted(TERMINAL)]

_ID = re.compile(r"[0-9a-f]{3}")


@dataclass(frozen=True)
class Event:
    """One step of a job."""

    id: str
    type: str
    data: Mapping[str, Any]

    def encode(self) -> bytes:
        """As it goes over the wire (WHATWG HTML, 9.2.6)."""
        return f"id: {self.id}\nevent: {self.type}\ndata: {json.dumps(self.data)}\n\n".encode()


@dataclass(frozen=True)
class _Step:
    #: Milliseconds since submission.
    at: float
    type: str
    data: Mapping[str, Any]


def events(job: JobView, after: str = "") -> list[Event]:
    """What happened to the job, in order; after: the id of the last event that is known, ids of nobody are none."""
    told = int(after, 16) if _ID.fullmatch(after) else 0
    found: list[Event] = []
    for step in _steps(job):
        bit = 1 << _BITS.index("over" if step.type in TERMINAL else step.type)
        if not told & bit:
            told |= bit
            found.append(Event(f"{told:03x}", step.type, step.data))
    return found


def _steps(job: JobView) -> Iterator[_Step]:
    yield _Step(0, "queued", job.queue.model_dump() if job.queue else {})
    yield from sorted([*_gemini(job), *_ml(job)], key=lambda step: step.at)
    if job.timings.fusion_started_ms is not None:
        yield _Step(job.timings.fusion_started_ms, "fusion.started", {})
    if job.state in TERMINAL:
        yield _Step(job.timings.total_ms or 0, job.state.value, {"state": job.state})


def _ml(job: JobView) -> Iterator[_Step]:
    reading, started = job.readings.ml, job.timings.queued_ms
    if started is not None:
        yield _Step(started, "ml.started", {})
    if isinstance(reading, MlReading):
        said = {"label": reading.label, "p_positive": reading.p_positive, "abstained": reading.abstained}
        yield _Step(_no_sooner(job.timings.ml_ms, started), "ml.done", said)


def _gemini(job: JobView) -> Iterator[_Step]:
    reading, started = job.readings.gemini, job.timings.gemini_started_ms
    if isinstance(reading, SkippedReading):
        yield _Step(0, "gemini.skipped", {"reason": reading.reason})
    if started is not None:
        yield _Step(started, "gemini.started", {})
    settled_at = _no_sooner(job.timings.gemini_ms, started)
    if isinstance(reading, GeminiReading):
        yield _Step(settled_at, "gemini.done", {})
    if isinstance(reading, UnavailableReading):
        yield _Step(settled_at, "gemini.unavailable", {"reason": reading.reason})


def _no_sooner(at: float | None, started: float | None) -> float:
    # The ledger's clock may be set back in between.
    return max(at or 0, started or 0)
