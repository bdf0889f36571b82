"""A DICOM file with the patient in it wherever one may stand, and what to look for."""

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.sequence import Sequence
from pydicom.uid import UID

from tests.support import dicoms

_NAME, _NUMBER, _BIRTH, _DAY = "Planted^Petra", "PID-4711", "19610412", "20260203"
_ACCESSION, _PLACE, _DOCTOR, _SECRET = "ACC-0815", "St Planted Hospital", "Doctor^Planted", "private-planted"
_STATION, _WORDS = "AE-PLANTED", "seen on behalf of Mrs P."
_ROOT = "1.2.999.4711"

#: Bytes that no copy may hold.
MARKS = tuple(
    mark.encode()
    for mark in (
        "Planted", "PID-4711", _BIRTH, _DAY, _ACCESSION, "planted", _STATION, "Mrs P", _ROOT,
    )
)  # fmt: skip


def planted(syntax: str = dicoms.EXPLICIT) -> bytes:
    """An MR image whose header, sequences, private elements and file meta information name the patient."""
    made = dicoms.dataset(
        dicoms.slope(), BurnedInAnnotation="NO", PixelSpacing=[0.5, 0.5], SliceThickness="5"
    )
    made.SOPInstanceUID, made.StudyInstanceUID, made.SeriesInstanceUID = (f"{_ROOT}.{n}" for n in (1, 2, 3))
    made.FrameOfReferenceUID = UID(f"{_ROOT}.4")
    _patient(made)
    _study(made)
    _sequences(made)
    _private(made)
    made.file_meta.SourceApplicationEntityTitle = _STATION
    made.file_meta.PrivateInformationCreatorUID = UID(f"{_ROOT}.9")
    made.file_meta.PrivateInformation = _SECRET.encode() + b"!"
    made.preamble = (_NAME.encode() * 20)[:128]
    return dicoms.written(made, syntax)


def _patient(made: Dataset) -> None:
    made.PatientName, made.PatientID, made.PatientBirthDate = _NAME, _NUMBER, _BIRTH
    made.PatientSex, made.PatientAge, made.PatientWeight = "F", "064Y", "70"
    made.OtherPatientNames, made.PatientComments, made.PatientAddress = _NAME, _WORDS, _PLACE
    made.EthnicGroup, made.AdditionalPatientHistory = "planted", _WORDS


def _study(made: Dataset) -> None:
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "DateOfLastCalibration"):
        setattr(made, keyword, _DAY)
    for keyword in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(made, keyword, "101112")
    made.AcquisitionDateTime = f"{_DAY}101112"
    made.AccessionNumber, made.StudyID, made.StudyDescription = _ACCESSION, _NUMBER, _WORDS
    made.SeriesDescription, made.ProtocolName, made.ImageComments = _WORDS, _WORDS, _WORDS
    made.InstitutionName, made.StationName, made.InstitutionAddress = _PLACE, _STATION, _PLACE
    made.ReferringPhysicianName = made.OperatorsName = made.PerformingPhysicianName = _DOCTOR
    made.DeviceSerialNumber, made.RetrieveURL = _NUMBER, f"https://{_STATION}/{_NUMBER}"
    made.MultiFrameSourceSOPInstanceUID = f"{_ROOT}.5"
    made.DeidentificationMethod = _WORDS


def _sequences(made: Dataset) -> None:
    asked, code, person, seen = Dataset(), Dataset(), Dataset(), Dataset()
    asked.RequestedProcedureID, asked.ScheduledProcedureStepDescription = _NUMBER, _WORDS
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", _NAME
    person.PersonIdentificationCodeSequence = Sequence([code])
    person.InstitutionName, person.PersonName = _PLACE, _DOCTOR
    seen.ReferencedSOPClassUID, seen.ReferencedSOPInstanceUID = dicoms.MR_IMAGE, f"{_ROOT}.6"
    seen.PatientName, seen.ContentDate = _NAME, _DAY
    _private(seen)
    made.RequestAttributesSequence = Sequence([asked])
    made.OperatorIdentificationSequence = made.ReferringPhysicianIdentificationSequence = Sequence([person])
    made.ReferencedImageSequence = made.SourceImageSequence = Sequence([seen, seen])
    made.ReferencedStudySequence = Sequence([seen])
    made.OtherPatientIDsSequence = Sequence([seen])
    made.AnatomicRegionSequence = Sequence([_brain()])


def _brain() -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "12738006", "SCT", "Brain"
    code.PatientName = _NAME
    return code


def _private(made: Dataset) -> None:
    block = made.private_block(0x0029, "PLANTED HEADER", create=True)
    inner = Dataset()
    inner.PatientName = _NAME
    block.add_new(0x10, "LO", _SECRET)
    block.add_new(0x11, "OB", _SECRET.encode() + b"!")
    block.add_new(0x12, "SQ", Sequence([inner]))
    made.add(DataElement(0x6000_3000, "OW", _SECRET.encode() + b"!"))
    made.add(DataElement(0x6000_0022, "LO", _NAME))
