"""What is told of a job when it has ended, however it ended: one log line with its whole story, and its metrics.

A job's end is archived by fusion or by the reaper, and the ledger says who was first: that one tells. A process that
dies in that very moment takes the line along. Nothing about the patient is told, and no number that a reader gave.
"""

import logging
from collections.abc import Iterator, Mapping

from shared.contracts import GeminiReading, MlReading
from shared.job_state import JobState
from shared.ledger import JobRecord
from shared.names import Stage
from shared.observe import metrics
from shared.observe.durations import durations

log = logging.getLogger(__name__)


def tell(job: JobRecord) -> None:
    """Log the story of a finished job, and count it."""
    level = logging.INFO if job.state in {JobState.COMPLETED, JobState.CANCELLED} else logging.WARNING
    log.log(level, "job %s", job.state, extra={"job": job.ref, **story(job)})
    metrics.ended(job)


def story(job: JobRecord) -> dict[str, object]:
    """The story as the fields of a log line; what did not happen is left out. Pure."""
    told = {
        "state": job.state,
        "priority": job.priority,
        **dict(_said(job)),
        **_milliseconds(durations(job)),
        **{f"{stage}_attempts": job.stages[stage].deliveries for stage in Stage},
        "size_bytes": job.image.size_bytes,
        "width": job.image.width,
        "height": job.image.height,
    }
    return {name: value for name, value in told.items() if value not in (None, 0, ())}


def _said(job: JobRecord) -> Iterator[tuple[str, object]]:
    if isinstance(job.ml, MlReading):
        yield "model", f"{job.ml.model.name}/{job.ml.model.version}"
        yield "abstained", job.ml.abstain_reason
        yield "decode_ms", job.ml.timings_ms.get("decode")
        yield "infer_ms", job.ml.timings_ms.get("infer")
    if isinstance(job.gemini, GeminiReading):
        yield "gemini_call_ms", job.gemini.timings_ms.get("call")
    if job.result is not None:
        yield "label", job.result.label or "undecided"
        yield "agreement", job.result.agreement
        yield "fallback", job.result.fallback and job.result.fallback.reason
        yield "review", ",".join(job.result.review_reasons) or None
    if job.error is not None:
        yield "code", job.error.code


def _milliseconds(seconds: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}_ms": round(value * 1000, 3) for name, value in seconds.items()}
