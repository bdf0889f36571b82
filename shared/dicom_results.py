"""The DICOM objects that a finished job has in the study of its image: which, of what class, under which UIDs. Pure.

UIDs are made from the job's id (2.25 and a UUID, PS3.5 annex B.2): whoever makes or sends an object again makes or
sends the same one, and whoever points at one need not have seen it.
"""

import uuid
from enum import StrEnum
from typing import NamedTuple

from shared.names import Blob

_NAMESPACE = uuid.UUID("7921c783-8c8d-4a5f-bd53-5fb36b2e9913")


class DicomResult(StrEnum):
    """An object, as routes and settings name it."""

    #: The result and what each reader said, as a structured report.
    SR = "sr"
    #: The picture with the heatmap over it, for every viewer.
    OVERLAY = "overlay"
    #: The heatmap's numbers.
    MAP = "map"


class Kind(NamedTuple):
    """What an object is."""

    blob: Blob
    sop_class_uid: str
    modality: str
    #: Far above the scanner's own.
    series_number: int
    description: str


KINDS = {
    DicomResult.SR: Kind(
        Blob.DICOM_SR, "1.2.840.10008.5.1.4.1.1.88.33", "SR", 9901, "MediScan result (research)"
    ),
    DicomResult.OVERLAY: Kind(
        Blob.DICOM_OVERLAY, "1.2.840.10008.5.1.4.1.1.7", "OT", 9902, "MediScan heatmap (research)"
    ),
    DicomResult.MAP: Kind(
        Blob.DICOM_MAP, "1.2.840.10008.5.1.4.1.1.30", "OT", 9903, "MediScan Grad-CAM (research)"
    ),
}


def series_uid(job_id: str, result: DicomResult) -> str:
    """Of the series that holds this object and no other."""
    return _uid(job_id, f"{result}/series")


def instance_uid(job_id: str, result: DicomResult) -> str:
    """Of the object."""
    return _uid(job_id, f"{result}/instance")


def tracking_uid(job_id: str, what: str) -> str:
    """Of something that is said about the image, such as a reader's finding."""
    return _uid(job_id, f"tracking/{what}")


def resource_uuid(job_id: str, what: str) -> str:
    """Of a FHIR resource about the job."""
    return str(uuid.uuid5(_NAMESPACE, f"{job_id}/fhir/{what}"))


def _uid(job_id: str, what: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{job_id}/{what}').int}"
