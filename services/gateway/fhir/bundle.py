"""A finished job as one `Bundle`: the report, what it rests on, and who said it. Pure.

Of the type `collection`: resources that belong together and nothing more. A `document` would need a Composition that
somebody answers for, and a result of ours is preliminary for as long as no person has looked at it.
"""

from services.gateway.fhir import devices
from services.gateway.fhir.observations import observations
from services.gateway.fhir.study import identifiers, imaging_study
from services.gateway.fhir.task import task
from services.gateway.fhir.terms import (
    JOB_SYSTEM,
    Resource,
    coding,
    reference,
    resource,
    when,
)
from shared.contracts import DISCLAIMER, FusedResult, GeminiReading, JobView, MlReading
from shared.medical_codes import IMAGING_REPORT

MEDIA_TYPE = "application/fhir+json"

#: A caller's own name of the patient, for images that bring none.
PATIENT_KEY = "patient_id"

_RADIOLOGY = {
    "system": "http://terminology.hl7.org/CodeSystem/v2-0074",
    "code": "RAD",
    "display": "Radiology",
}
_RECORD_NUMBER = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}


def bundle(job: JobView, ml: MlReading, result: FusedResult, patient_id: str | None) -> Resource:
    """Everything that is said about one image. patient_id: as the image's header has it, if it has one."""
    subject = _subject(patient_id or _named(job))
    held = [
        _report(job, result, subject),
        *observations(job, ml, result, subject),
        devices.fusion(job.id, result.policy.value),
        devices.ml(job.id, ml),
    ]
    if isinstance(job.readings.gemini, GeminiReading):
        held.append(devices.gemini(job.id, job.readings.gemini))
    if job.image.dicom:
        held.append(imaging_study(job, job.image.dicom, subject or {"display": "not known"}))
    held.append(task(job, in_bundle=True))
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "identifier": {"system": JOB_SYSTEM, "value": job.id},
        "timestamp": when(job.ended_at or job.created_at),
        "entry": [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in held],
    }


def _named(job: JobView) -> str | None:
    given = job.metadata.get(PATIENT_KEY)
    return given if isinstance(given, str) and given.strip() else None


def _subject(patient_id: str | None) -> Resource | None:
    if patient_id is None:
        return None
    return {"type": "Patient", "identifier": {"type": {"coding": [_RECORD_NUMBER]}, "value": patient_id}}


def _report(job: JobView, result: FusedResult, subject: Resource | None) -> Resource:
    source = job.image.dicom
    return resource(
        job.id,
        "report",
        "DiagnosticReport",
        identifier=[{"system": JOB_SYSTEM, "value": job.id}],
        status="preliminary",
        category=[{"coding": [_RADIOLOGY]}],
        code={"coding": [coding(IMAGING_REPORT)], "text": "Reading of an image by machines, for research"},
        subject=subject,
        issued=when(job.ended_at or job.created_at),
        result=[reference(job.id, what, "Observation") for what in ("fused", "ml", "gemini")],
        imagingStudy=[{**reference(job.id, "study", "ImagingStudy"), "identifier": identifiers(source)[0]}]
        if source
        else None,
        conclusion=f"{result.explanation} {DISCLAIMER}",
    )
