"""What each reader said, and both together, as `Observation`s. Pure.

Each asks the same question, whether the finding is in the image, and answers present, absent or indeterminate; how
sure it is stands beside it in components.
"""

from collections.abc import Iterator
from typing import Any

from services.gateway.fhir.terms import (
    Resource,
    absent,
    component,
    concept,
    number,
    reference,
    resource,
    when,
)
from shared.contracts import (
    DISCLAIMER,
    FrameReading,
    FusedResult,
    GeminiReading,
    JobView,
    MlReading,
    SkippedReading,
    UnavailableReading,
)
from shared.medical_codes import (
    ABSTENTION,
    AGREEMENT,
    CERTAINTY,
    CONFORMAL_SET,
    FALLBACK,
    FRAME,
    FUSED_READING,
    GEMINI_READING,
    ML_READING,
    NEEDS_REVIEW,
    OOD_SCORE,
    POLICY,
    PROBABILITY,
    REVIEW_REASON,
    RISK_SCORE,
    THRESHOLD,
    Code,
    finding,
    said,
    site,
)

_IMAGING = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "imaging",
            "display": "Imaging",
        }
    ]
}


def observations(
    job: JobView, ml: MlReading, result: FusedResult, subject: Resource | None
) -> list[Resource]:
    """The joined reading, the ML model's, Gemini's or why there is none; then the model's of each frame, if of all."""
    return [
        _fused(job, ml, result, subject),
        _ml(job, ml, subject),
        _gemini(job, ml, job.readings.gemini, subject),
        *(_frame(job, ml, frame, subject) for frame in ml.frames),
    ]


def _fused(job: JobView, ml: MlReading, result: FusedResult, subject: Resource | None) -> Resource:
    return _observation(
        job,
        "fused",
        ml,
        FUSED_READING,
        subject,
        valueCodeableConcept=concept(said(result.label), result.label or "no decision"),
        device=reference(job.id, "fusion-device", "Device"),
        derivedFrom=[reference(job.id, what, "Observation") for what in ("ml", "gemini")],
        note=[{"text": result.explanation}, {"text": DISCLAIMER}],
        component=list(_fused_parts(result)),
    )


def _fused_parts(result: FusedResult) -> Iterator[Resource]:
    yield component(PROBABILITY, valueQuantity=number(result.p_positive))
    yield component(CERTAINTY, valueQuantity=number(result.confidence))
    yield component(RISK_SCORE, valueInteger=result.risk.score)
    yield component(AGREEMENT, valueString=result.agreement.value)
    yield component(POLICY, valueString=result.policy.value)
    yield component(NEEDS_REVIEW, valueBoolean=result.needs_review)
    for reason in result.review_reasons:
        yield component(REVIEW_REASON, valueString=reason.value)
    if result.fallback:
        yield component(FALLBACK, valueString=result.fallback.reason.value)


def _ml(job: JobView, ml: MlReading, subject: Resource | None) -> Resource:
    members = [reference(job.id, _of(frame), "Observation") for frame in ml.frames]
    return _by_model(job, "ml", ml, ml, subject, hasMember=members or None, component=list(_ml_parts(ml)))


def _ml_parts(ml: MlReading) -> Iterator[Resource]:
    yield from _figures(ml, ml.threshold)
    yield component(CONFORMAL_SET, valueString=", ".join(ml.conformal_set) or "none")
    if ml.frame:
        yield component(FRAME, valueInteger=ml.frame)


def _frame(job: JobView, ml: MlReading, frame: FrameReading, subject: Resource | None) -> Resource:
    parts = [*_figures(frame, ml.threshold), component(FRAME, valueInteger=frame.frame)]
    return _by_model(job, _of(frame), ml, frame, subject, component=parts)


def _by_model(
    job: JobView,
    name: str,
    ml: MlReading,
    reading: MlReading | FrameReading,
    subject: Resource | None,
    **more: Any,
) -> Resource:
    """What the model answers about the whole or about one frame."""
    label = None if reading.abstain_reason else reading.label
    return _observation(
        job,
        name,
        ml,
        ML_READING,
        subject,
        valueCodeableConcept=concept(said(label), label or "declined to decide"),
        device=reference(job.id, "ml-device", "Device"),
        **more,
    )


def _of(frame: FrameReading) -> str:
    return f"ml-frame-{frame.frame}"


def _figures(reading: MlReading | FrameReading, threshold: float) -> Iterator[Resource]:
    yield component(PROBABILITY, valueQuantity=number(reading.p_positive))
    yield component(THRESHOLD, valueQuantity=number(threshold))
    yield component(OOD_SCORE, valueQuantity=number(reading.ood_score))
    if reading.abstain_reason:
        yield component(ABSTENTION, valueString=reading.abstain_reason.value)


def _gemini(job: JobView, ml: MlReading, gemini: object, subject: Resource | None) -> Resource:
    if isinstance(gemini, GeminiReading):
        return _observation(
            job,
            "gemini",
            ml,
            GEMINI_READING,
            subject,
            valueCodeableConcept=concept(said(gemini.label), gemini.label or "declined to decide"),
            device=reference(job.id, "gemini-device", "Device"),
            # Free text of a machine elsewhere: text, and never markup.
            note=[{"text": gemini.explanation}] if gemini.explanation.strip() else None,
            component=[component(PROBABILITY, valueQuantity=number(gemini.p_positive))],
        )
    skipped = isinstance(gemini, SkippedReading)
    why = gemini.reason.value if isinstance(gemini, SkippedReading | UnavailableReading) else "unknown"
    return _observation(
        job,
        "gemini",
        ml,
        GEMINI_READING,
        subject,
        status="cancelled",
        dataAbsentReason=absent("not-performed" if skipped else "error"),
        component=[component(FALLBACK, valueString=why)],
    )


def _observation(
    job: JobView,
    what: str,
    ml: MlReading,
    method: Code,
    subject: Resource | None,
    *,
    status: str = "preliminary",
    **fields: object,
) -> Resource:
    where = site(ml)
    study = [reference(job.id, "study", "ImagingStudy")] if job.image.dicom else None
    return resource(
        job.id,
        what,
        "Observation",
        status=status,
        category=[_IMAGING],
        code=concept(finding(ml)),
        subject=subject,
        issued=when(job.ended_at or job.created_at),
        method=concept(method),
        bodySite=concept(where) if where else None,
        **({"partOf": study} | fields),
    )
