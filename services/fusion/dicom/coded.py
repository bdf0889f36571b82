"""Our codes as highdicom takes them, and what all objects of a job have in common. Pure."""

from datetime import datetime
from typing import Any

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.sr.coding import Code as DicomCode

from services.fusion.dicom.source import Source
from shared.contracts import JobView, MlReading
from shared.dicom_results import KINDS, DicomResult, instance_uid, series_uid
from shared.medical_codes import ROOT_OID, Code

MANUFACTURER = "MediScan"
_MODEL = "MediScan (research)"


def concept(code: Code) -> CodedConcept:
    """A code of the table."""
    return CodedConcept(code.value, code.scheme, code.meaning)


def plain(code: Code) -> DicomCode:
    """The same for what takes pydicom's."""
    return DicomCode(code.value, code.scheme, code.meaning)


def own_scheme() -> CodingSchemeIdentificationItem:
    """What 99MEDISCAN is."""
    return CodingSchemeIdentificationItem(
        designator="99MEDISCAN",
        name="MediScan codes",
        uid=f"{ROOT_OID}.1",
        responsible_organization="MediScan",
    )


def ended(job: JobView) -> datetime:
    """When the result was there, by the clock on the wall: DICOM's times are local ones."""
    return (job.ended_at or job.created_at).astimezone()


def common(job: JobView, source: Source, result: DicomResult, ml: MlReading) -> dict[str, Any]:
    """Identity and origin of one object, as all of highdicom's classes take them."""
    at, kind = ended(job), KINDS[result]
    return {
        "series_instance_uid": series_uid(job.id, result),
        "series_number": kind.series_number,
        "sop_instance_uid": instance_uid(job.id, result),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": _MODEL,
        "software_versions": f"{ml.model.name} {ml.model.version}"[:64],
        "device_serial_number": ml.model.sha256[:16],
        "series_description": kind.description,
        "content_date": at.date(),
        "content_time": at.time(),
        "series_date": at.date(),
        "series_time": at.time(),
        "specific_character_set": "ISO_IR 192",
    }
