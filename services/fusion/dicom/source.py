"""The image that a job read, as the objects made from it must refer to it. Pure.

Its header comes from a stranger's file by way of the decoding process: what is needed is taken out of it, one attribute
at a time, and what cannot be read there counts as not being there.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydicom import config
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import validate_value

from shared.contracts import DicomSource, JobView, MlReading
from shared.errors import ImageError
from shared.medical_codes import SOURCE_IMAGE

#: How the image was de-identified.
_METHOD = ("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence")
#: Patient, study and what a map in space needs; of everything else in the header nothing is used.
_WANTED = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "BodyPartExamined",
    "Laterality",
    "BurnedInAnnotation",
    *_METHOD,
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
#: Attributes that every object of a study must have, with or without a value (type 2).
_ALWAYS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)


#: Kinds of values that what we make is checked for: dates, times, words of a list.
_STRICT = {"AS", "CS", "DA", "TM", "UI"}


@dataclass(frozen=True)
class Plane:
    """Where the frame that was read lies in the patient. Millimetres."""

    position: tuple[float, ...]
    #: Of the rows, then of the columns.
    orientation: tuple[float, ...]
    #: Between rows, between columns.
    spacing: tuple[float, ...]
    thickness: float | None


@dataclass(frozen=True)
class Source:
    """The image, without pixels."""

    #: Its identity, patient and study.
    dataset: Dataset
    #: Of several frames, the one that the result is about.
    frame: int | None
    #: None where the header does not say, or says what cannot be.
    plane: Plane | None

    def mark_side(self, made: Dataset) -> None:
        """Say which part of the body a picture made from it shows, as far as it says so itself."""
        for keyword in ("BodyPartExamined", "Laterality"):
            if keyword in self.dataset:
                setattr(made, keyword, self.dataset[keyword].value)
        if "BodyPartExamined" not in made and "Laterality" not in made:
            made.Laterality = None  # unknown (type 2)

    def mark_deidentified(self, made: Dataset) -> None:
        """Say of what was made from a de-identified copy that it names nobody either, and why."""
        if self.dataset.get("PatientIdentityRemoved") == "YES":
            for keyword in _METHOD:
                if keyword in self.dataset:
                    setattr(made, keyword, self.dataset[keyword].value)

    def reference(self) -> Dataset:
        """To it, as what something was made from."""
        code, found = Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = SOURCE_IMAGE
        found.ReferencedSOPClassUID = self.dataset.SOPClassUID
        found.ReferencedSOPInstanceUID = self.dataset.SOPInstanceUID
        if self.frame is not None:
            found.ReferencedFrameNumber = self.frame
        found.PurposeOfReferenceCodeSequence = [code]
        return found

    @property
    def frames(self) -> list[int] | None:
        """The frame, as references have it."""
        return None if self.frame is None else [self.frame]


def read_source(job: JobView, header: bytes) -> Source:
    """The image of a job, by its header in the DICOM JSON model; ImageError where that is none."""
    facts, ml = job.image.dicom, job.readings.ml
    if facts is None or not isinstance(ml, MlReading):
        raise ImageError("This job read no DICOM image.")
    found = _wanted(header)
    frame = (ml.frame or 1) if facts.number_of_frames > 1 else None
    plane = _plane(found, (frame or 1) - 1)
    return Source(_identity(found, facts, job), frame, plane)


def _wanted(header: bytes) -> Dataset:
    try:
        model = json.loads(header)
    except ValueError as error:
        raise ImageError("The header that was kept is no JSON.") from error
    found = Dataset()
    for keyword in _WANTED:
        tag = f"{tag_for_keyword(keyword):08X}"
        if isinstance(model, Mapping) and tag in model:
            _take(found, tag, model[tag])
    return found


def _take(found: Dataset, tag: str, value: Any) -> None:
    try:
        taken = Dataset.from_json({tag: value})
        for element in taken:
            _check(element)
    except Exception:
        return
    found.update(taken)


def _check(element: DataElement) -> None:
    """ValueError for what the objects' own rules would not take; names and numbers of patients stay as they are."""
    if element.VR in _STRICT and not element.is_empty:
        for value in element.value if element.VM > 1 else [element.value]:
            validate_value(element.VR, str(value), config.RAISE)
    if element.keyword == "PatientSex" and element.value not in {"M", "F", "O", "", None}:
        raise ValueError("no sex that DICOM knows")


def _identity(found: Dataset, facts: DicomSource, job: JobView) -> Dataset:
    geometry = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")
    groups = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
    source = Dataset()
    for element in found:
        if keyword_for_tag(element.tag) not in (*geometry, *groups):
            source.add(element)
    for keyword in _ALWAYS:
        if keyword not in source:
            setattr(source, keyword, None)
    # The facts were checked when the job was taken in; they win.
    for keyword, value in (
        ("StudyInstanceUID", facts.study_instance_uid),
        ("SeriesInstanceUID", facts.series_instance_uid),
        ("SOPInstanceUID", facts.sop_instance_uid),
        ("SOPClassUID", facts.sop_class_uid),
        ("AccessionNumber", facts.accession_number or source.AccessionNumber),
        ("Modality", facts.modality),
        ("Rows", job.image.height),
        ("Columns", job.image.width),
    ):
        source.add(DataElement(tag_for_keyword(keyword) or 0, _VR[keyword], value))
    return source


_VR = {
    "StudyInstanceUID": "UI",
    "SeriesInstanceUID": "UI",
    "SOPInstanceUID": "UI",
    "SOPClassUID": "UI",
    "AccessionNumber": "SH",
    "Modality": "CS",
    "Rows": "US",
    "Columns": "US",
}


def _plane(found: Dataset, index: int) -> Plane | None:
    position = _numbers(found, index, "PlanePositionSequence", "ImagePositionPatient", 3)
    orientation = _numbers(found, index, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
    spacing = _numbers(found, index, "PixelMeasuresSequence", "PixelSpacing", 2)
    thickness = _numbers(found, index, "PixelMeasuresSequence", "SliceThickness", 1)
    if not (position and orientation and spacing and "FrameOfReferenceUID" in found):
        return None
    return Plane(position, orientation, spacing, thickness[0] if thickness else None)


def _numbers(found: Dataset, index: int, group: str, keyword: str, count: int) -> tuple[float, ...] | None:
    """An attribute of one frame: of its own functional group, the shared one, or of the image itself."""
    for holder in _holders(found, index, group):
        try:
            value = getattr(holder, keyword)
            numbers = tuple(float(number) for number in (value if count > 1 else [value]))
        except (AttributeError, TypeError, ValueError):
            continue
        if len(numbers) == count and all(map(math.isfinite, numbers)):
            return numbers
    return None


def _holders(found: Dataset, index: int, group: str) -> Iterable[Dataset]:
    per_frame = found.get("PerFrameFunctionalGroupsSequence") or []
    shared = found.get("SharedFunctionalGroupsSequence") or []
    for groups in (*per_frame[index : index + 1], *shared[:1]):
        yield from (groups.get(group) or [])[:1]
    yield found
