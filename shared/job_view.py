"""Ledger record -> public job. Used by the gateway for a live job and by fusion for the stored one."""

from datetime import UTC, datetime

from shared.contracts import (
    JobView,
    Links,
    Progress,
    QueuePosition,
    Readings,
    Timings,
    WaitingReading,
)
from shared.job_state import SETTLED, JobState, StageState
from shared.ledger import JobRecord
from shared.names import Stage


def view(job: JobRecord, queue: QueuePosition | None = None) -> JobView:
    """The job as its owner sees it. queue: where it stands in line, if that is known."""
    return JobView(
        id=job.ref.job_id,
        version=job.version,
        state=job.state,
        priority=job.priority,
        created_at=_utc(job.created_at),
        deadline_at=_utc(job.deadline_at),
        ended_at=_utc(job.ended_at) if job.ended_at else None,
        image=job.image,
        metadata=job.metadata,
        model=job.model,
        client_id=job.client_id,
        retry_of=job.retry_of,
        batch_id=job.batch_id,
        prior_job_id=job.prior.job_id if job.prior else None,
        progress=_progress(job),
        queue=queue,
        readings=Readings(
            ml=job.ml or _waiting(job, Stage.ML),
            gemini=job.gemini or _waiting(job, Stage.GEMINI),
        ),
        result=job.result,
        error=job.error,
        timings=_timings(job),
        links=_links(job.ref.job_id),
    )


def _waiting(job: JobRecord, stage: Stage) -> WaitingReading:
    record = job.stages[stage]
    state = StageState.CLAIMED if record.state is StageState.CLAIMED else StageState.PENDING
    return WaitingReading(state=state, deliveries=record.deliveries)


def _progress(job: JobRecord) -> Progress:
    if job.is_over:
        return Progress(fraction=1, step=job.state)
    if job.state is JobState.QUEUED:
        return Progress(fraction=0, step="waiting for a reader")
    ml, gemini = (job.stages[stage].state in SETTLED for stage in (Stage.ML, Stage.GEMINI))
    if ml and gemini:
        return Progress(fraction=0.9, step="joining the readings")
    if ml:
        return Progress(fraction=0.6, step="waiting for the second reading")
    return Progress(fraction=0.3, step="reading")


def _timings(job: JobRecord) -> Timings:
    ml, gemini = job.stages[Stage.ML], job.stages[Stage.GEMINI]
    return Timings(
        queued_ms=_since(job, ml.claimed_at),
        ml_ms=_since(job, ml.settled_at),
        gemini_ms=_since(job, gemini.settled_at),
        gemini_started_ms=_since(job, gemini.claimed_at),
        fusion_started_ms=_since(job, job.stages[Stage.FUSION].claimed_at),
        total_ms=_since(job, job.ended_at),
    )


def _since(job: JobRecord, at: float | None) -> float | None:
    # The server's clock may be set back while a job runs; a duration is never negative.
    return None if at is None else round(max(0.0, at - job.created_at) * 1000, 3)


def _links(job_id: str) -> Links:
    here = f"/v1/jobs/{job_id}"
    return Links(self=here, heatmap=f"{here}/heatmap.png", cancel=f"{here}/cancel")


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
