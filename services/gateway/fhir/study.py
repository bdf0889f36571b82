"""Where the image belongs, and what the job adds to it, as an `ImagingStudy`. Pure; of DICOM images alone."""

from services.gateway.fhir.terms import Resource, resource
from shared.contracts import DicomSource, JobView
from shared.dicom_results import KINDS, DicomResult, Kind, instance_uid, series_uid

_SOP_CLASSES = "urn:ietf:rfc:3986"
_MODALITIES = "http://dicom.nema.org/resources/ontology/DCM"


def identifiers(source: DicomSource) -> list[Resource]:
    """Of the study: its UID, and its accession number where there is one."""
    found: list[Resource] = [{"system": "urn:dicom:uid", "value": f"urn:oid:{source.study_instance_uid}"}]
    if source.accession_number:
        kind = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}
        found.append({"type": {"coding": [kind]}, "value": source.accession_number})
    return found


def imaging_study(job: JobView, source: DicomSource, subject: Resource) -> Resource:
    """The study as far as the job knows it: the image that was read, and the objects with the result."""
    read = _series(
        source.series_instance_uid, source.modality, source.sop_instance_uid, source.sop_class_uid, None
    )
    made = [_made(job.id, result, kind) for result, kind in KINDS.items()]
    return resource(
        job.id,
        "study",
        "ImagingStudy",
        identifier=identifiers(source),
        status="available",
        subject=subject,
        series=[read, *made],
    )


def _made(job_id: str, result: DicomResult, kind: Kind) -> Resource:
    return _series(
        series_uid(job_id, result),
        kind.modality,
        instance_uid(job_id, result),
        kind.sop_class_uid,
        kind.description,
    )


def _series(uid: str, modality: str, instance: str, sop_class: str, said: str | None) -> Resource:
    return {
        "uid": uid,
        "modality": {"system": _MODALITIES, "code": modality},
        **({"description": said} if said else {}),
        "instance": [{"uid": instance, "sopClass": {"system": _SOP_CLASSES, "code": f"urn:oid:{sop_class}"}}],
    }
