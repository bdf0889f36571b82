"""What answers and requests look like, for the OpenAPI document. Typed, so that an example cannot be out of date."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from shared.contracts import (
    AbstainReason,
    Agreement,
    BatchCounts,
    BatchLinks,
    BatchState,
    BatchView,
    Box,
    DeadLetter,
    DeadLetterPage,
    Delivery,
    DeliveryAttempt,
    DeliveryOutcome,
    DeliveryPage,
    DeliveryState,
    Fallback,
    FindingCode,
    FusedResult,
    ImageFacts,
    JobError,
    JobPage,
    JobView,
    Label,
    Links,
    MlReading,
    ModelEntry,
    ModelList,
    ModelRef,
    PolicyName,
    Problem,
    Progress,
    QueuePosition,
    Readiness,
    Readings,
    ReadyStatus,
    RefusedItem,
    ReviewReason,
    Risk,
    RiskBand,
    SkippedReading,
    SkippedReason,
    Timings,
    Voice,
    WaitingReading,
    WebhookEvent,
)
from shared.job_state import JobState, StageState
from shared.names import Priority, Stage

JOB_ID = "job_01a2058e0595c8a88fdd5381f53c2364"
BATCH_ID = "batch_01a2058e0595c8a88fdd5381f53c2364"
_MODEL = "brain-mri-mobilenetv2"
_AT = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_ERROR = JobError(code="ml_gave_up", detail="The ML reading was tried 3 times and did not come about.")
_UNASKED = SkippedReading(reason=SkippedReason.NOT_CONFIGURED)

_READING = MlReading(
    label=Label.POSITIVE,
    p_positive=0.93,
    threshold=0.51,
    logits=(-1.21, 1.38),
    cam=tuple(tuple(round(1 / (1 + abs(r - 3) + abs(c - 4)), 2) for c in range(7)) for r in range(7)),
    peak_box=Box(left=146, top=109, width=37, height=37),
    conformal_set=(Label.POSITIVE,),
    ood_score=0.62,
    model=ModelRef(name=_MODEL, version="0.4.0", sha256=_SHA256),
    finding=FindingCode(value="108369006", scheme="SCT", meaning="Neoplasm"),
    body_part=("BRAIN",),
    timings_ms={"fetch": 0.4, "decode": 2.1, "infer": 2.3, "preview": 1.2, "total": 6.0},
)

_RESULT = FusedResult(
    label=Label.POSITIVE,
    p_positive=0.93,
    confidence=0.93,
    risk=Risk(score=93, band=RiskBand.HIGH),
    policy=PolicyName.WEIGHTED,
    agreement=Agreement.SINGLE_READER,
    needs_review=False,
    review_reasons=(),
    fallback=Fallback(reason=SkippedReason.NOT_CONFIGURED, detail="No second reader is configured."),
    provenance=(
        Voice(reader="ml", label=Label.POSITIVE, p_positive=0.93, weight=1, source=f"{_MODEL} 0.4.0"),
    ),
    explanation="The ML model reads Positive (P(positive) 0.93). There is no second reading (not configured).",
)


def _job(**changed: Any) -> JobView:
    usual: dict[str, Any] = {
        "id": JOB_ID,
        "version": 1,
        "state": JobState.QUEUED,
        "priority": Priority.STAT,
        "created_at": _AT,
        "deadline_at": _AT + timedelta(minutes=15),
        "ended_at": None,
        "image": ImageFacts(media_type="image/png", sha256=_SHA256, size_bytes=41_671, width=256, height=256),
        "metadata": {"study": "A-17"},
        "progress": Progress(fraction=0, step="waiting for a reader"),
        "readings": Readings(ml=WaitingReading(state=StageState.PENDING), gemini=_UNASKED),
        "result": None,
        "error": None,
        "timings": Timings(),
        "links": Links(
            self=f"/v1/jobs/{JOB_ID}",
            heatmap=f"/v1/jobs/{JOB_ID}/heatmap.png",
            cancel=f"/v1/jobs/{JOB_ID}/cancel",
        ),
    }
    return JobView(**{**usual, **changed})


QUEUED = _job(queue=QueuePosition(position=3, estimated_wait_s=1.5))
COMPLETED = _job(
    version=5,
    state=JobState.COMPLETED,
    ended_at=_AT + timedelta(milliseconds=21),
    progress=Progress(fraction=1, step="completed"),
    readings=Readings(ml=_READING, gemini=_UNASKED),
    result=_RESULT,
    timings=Timings(queued_ms=3.1, ml_ms=12.4, fusion_started_ms=15.0, total_ms=21.0),
)
_DECLINED = COMPLETED.model_copy(
    update={
        "readings": Readings(
            ml=_READING.model_copy(
                update={"abstain_reason": AbstainReason.OUT_OF_DISTRIBUTION, "ood_score": 1.55}
            ),
            gemini=_UNASKED,
        ),
        "result": _RESULT.model_copy(
            update={
                "label": None,
                "needs_review": True,
                "review_reasons": (ReviewReason.ML_ABSTAINED,),
                "explanation": "The ML model declined to decide (out of distribution; P(positive) 0.93). There "
                "is no second reading (not configured). Together: no decision, P(positive) 0.93.",
            }
        ),
    }
)
FAILED = _job(
    version=9,
    state=JobState.FAILED,
    ended_at=_AT + timedelta(seconds=4),
    progress=Progress(fraction=1, step="failed"),
    error=_ERROR,
    timings=Timings(queued_ms=3.1, total_ms=4000),
)

_DELIVERY = Delivery(
    id=f"msg_{JOB_ID.removeprefix('job_')}",
    event=WebhookEvent.COMPLETED,
    state=DeliveryState.DELIVERED,
    attempts=(
        DeliveryAttempt(at=_AT, outcome=DeliveryOutcome.REJECTED, status=503, duration_ms=84.2),
        DeliveryAttempt(
            at=_AT + timedelta(seconds=5), outcome=DeliveryOutcome.DELIVERED, status=204, duration_ms=31.0
        ),
    ),
    next_attempt_at=None,
)

_LETTER = DeadLetter(job_id=JOB_ID, died_at=_AT, error=_ERROR)


def _problem(status: int, code: str, title: str, detail: str) -> Problem:
    return Problem(
        type=f"/problems/{code}", title=title, status=status, detail=detail, code=code, instance="/v1/jobs"
    )


#: By the name of the message: what is shown, in this order, each with a title.
ANSWERS: dict[str, Mapping[str, BaseModel]] = {
    "JobView": {
        "completed": COMPLETED,
        "the model declined to decide": _DECLINED,
        "queued": QUEUED,
        "failed": FAILED,
    },
    "JobPage": {"a page": JobPage(items=(COMPLETED, FAILED), next_cursor=None)},
    "DeadLetter": {"given up": _LETTER},
    "DeadLetterPage": {"a page": DeadLetterPage(items=(_LETTER,), next_cursor=None)},
    "DeliveryPage": {
        "told at the second attempt": DeliveryPage(items=(_DELIVERY,)),
        "nobody is told": DeliveryPage(items=()),
    },
    "ModelList": {
        "one model": ModelList(
            models=(ModelEntry(id=f"{_MODEL}/0.4.0", is_default=True, card={"labels": ["Healthy", "Sick"]}),)
        )
    },
    "Readiness": {
        "to an operator": Readiness(
            status="degraded",
            missing=(),
            degraded=("reaper",),
            workers={Stage.ML: 2, Stage.GEMINI: 0, Stage.FUSION: 1},
        ),
    },
    "ReadyStatus": {"to everybody": ReadyStatus(status="ready")},
    "Problem": {
        "who are you?": _problem(401, "key_required", "An API key is needed", "No API key was sent."),
        "no such job": _problem(404, "unknown_job", "Not found", "There is no job with this id."),
        "not that fast": _problem(
            429, "rate_limited", "Too many requests", "This key submits more than it may; come back later."
        ),
    },
}


def _batch(state: BatchState, **counts: int) -> BatchView:
    refused = _problem(415, "unsupported_image", "The upload cannot be accepted", "Neither PNG nor JPEG.")
    none = dict.fromkeys((*JobState, "erased"), 0)
    here = f"/v1/batches/{BATCH_ID}"
    return BatchView(
        id=BATCH_ID,
        state=state,
        counts=BatchCounts(**{**none, "submitted": 40, "refused": 1, **counts}),
        progress=(counts["completed"] + 1) / 40,
        refused=(RefusedItem(index=17, problem=refused),),
        links=BatchLinks(
            self=here,
            items=f"/v1/jobs?batch={BATCH_ID}",
            results=f"{here}/results.jsonl",
            cancel=f"{here}/cancel",
        ),
    )


ANSWERS["BatchView"] = {
    "on its way": _batch(BatchState.RUNNING, queued=24, running=2, completed=13),
    "all done": _batch(BatchState.COMPLETED, completed=39),
}

#: What a new job looks like, wherever 202 says that there is one.
ACCEPTED: Mapping[str, BaseModel] = {"queued": QUEUED}

#: Fields beside the image, by what they are for. Each is sent to a real gateway by a test.
SUBMISSIONS: Mapping[str, Mapping[str, Any]] = {
    "urgent, with your own words on it": {"priority": "stat", "metadata": {"study": "A-17", "ward": 7}},
    "nothing but the image": {},
    "an equal image will do": {"deduplicate": "true"},
}

#: By the name of the parameter.
PARAMETERS: Mapping[str, Any] = {
    "job_id": JOB_ID,
    "batch_id": BATCH_ID,
    "wait": 30,
    "prefer": "wait=30",
    "last-event-id": "015",
    "idempotency-key": "ct-3-2026-01-31-0017",
    "limit": 20,
    "result": "sr",
    "study": "1.2.826.0.1.3680043.8.498.17",
}
