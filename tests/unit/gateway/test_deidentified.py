"""De-identified copies of DICOM files: nothing of the patient in any byte, everything else as it was."""

import random
import struct

import pytest
from pydicom import DataElement, Dataset
from pydicom._dicom_dict import DicomDictionary
from pydicom.sequence import Sequence

from services.gateway.deidentified.attributes import Fate, attribute
from services.gateway.deidentified.rewriter import DeflatedError, NoPixelsError, Rewriter
from services.gateway.deidentified.uids import remapping
from services.gateway.dicom_elements import HeaderError
from services.gateway.dicom_header import read_dicom_header
from services.gateway.settings import GatewaySettings
from shared.errors import SetupError
from shared.settings import load
from tests.support import dicoms
from tests.support.dicom_planted import MARKS, planted

KEY = "k" * 32
SYNTAXES = (dicoms.IMPLICIT, dicoms.EXPLICIT, dicoms.BIG_ENDIAN, dicoms.RLE, dicoms.JPEG_2000_LOSSLESS)


def copy_of(file: bytes, size: int = 1 << 20, tenant: str = "ward") -> bytes:
    """The copy, from a file that comes in pieces of this size."""
    rewriter = Rewriter(remapping(KEY, tenant))
    return (
        b"".join(rewriter.feed(file[at : at + size]) for at in range(0, len(file), size)) + rewriter.close()
    )


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_nothing_of_the_patient_is_in_any_byte(syntax: str) -> None:
    file = planted(syntax)
    assert all(mark in file for mark in MARKS), [mark for mark in MARKS if mark not in file]
    copy = copy_of(file)
    assert [mark for mark in MARKS if mark in copy] == []


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pixels_and_what_describes_them_are_the_same(syntax: str) -> None:
    before, after = dicoms.read(planted(syntax)), dicoms.read(copy_of(planted(syntax)))
    assert after.PixelData == before.PixelData
    for keyword in (
        "Rows",
        "Columns",
        "BitsStored",
        "Modality",
        "BodyPartExamined",
        "PixelSpacing",
        "SliceThickness",
    ):
        assert after[keyword].value == before[keyword].value
    assert after.file_meta.TransferSyntaxUID == syntax
    assert after.SOPClassUID == before.SOPClassUID == after.file_meta.MediaStorageSOPClassUID
    assert after.BurnedInAnnotation == "NO"


def test_it_says_by_which_method() -> None:
    copy = dicoms.read(copy_of(planted()))
    assert copy.PatientIdentityRemoved == "YES"
    assert copy.LongitudinalTemporalInformationModified == "REMOVED"
    assert copy.DeidentificationMethod == "PS3.15 Basic Profile, by MediScan"
    (code,) = copy.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")


def test_one_study_stays_one_and_references_still_hit() -> None:
    first, second = dicoms.dataset(dicoms.slope()), dicoms.dataset(dicoms.slope())
    second.StudyInstanceUID = first.StudyInstanceUID
    referenced = Dataset()
    referenced.ReferencedSOPClassUID, referenced.ReferencedSOPInstanceUID = (
        first.SOPClassUID,
        first.SOPInstanceUID,
    )
    second.ReferencedImageSequence = Sequence([referenced])
    one, two = (dicoms.read(copy_of(dicoms.written(made))) for made in (first, second))
    assert one.StudyInstanceUID == two.StudyInstanceUID != first.StudyInstanceUID
    assert one.SeriesInstanceUID != two.SeriesInstanceUID
    assert two.ReferencedImageSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID
    assert two.ReferencedImageSequence[0].ReferencedSOPClassUID == first.SOPClassUID
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
    assert one.SOPInstanceUID.startswith("2.25.")
    assert one.SOPInstanceUID.is_valid


def test_another_tenant_or_key_has_other_uids() -> None:
    uid = "1.2.3.4"
    found = {remapping(key, tenant)(uid) for key in (KEY, "l" * 32) for tenant in ("ward", "office")}
    assert len(found) == 4
    assert remapping(KEY, "ward")("1.2.840.10008.1.2.1") == "1.2.840.10008.1.2.1"


def test_the_copy_is_the_same_however_the_file_comes_in() -> None:
    file = planted()
    assert len({copy_of(file, size) for size in (1, 7, 1000, 1 << 20)}) == 1


def test_the_gateways_reader_finds_the_copys_identifiers() -> None:
    before, after = read_dicom_header(planted()).source, read_dicom_header(copy_of(planted())).source
    assert after.study_instance_uid == remapping(KEY, "ward")(before.study_instance_uid)
    assert after.accession_number is None
    assert after.modality == before.modality


def test_each_attribute_has_the_fate_that_the_table_gives_it() -> None:
    fates = {keyword: attribute(tag).fate for tag, (_, _, _, _, keyword) in DicomDictionary.items()}
    wanted = {
        Fate.EMPTIED: (
            "PatientName",
            "PatientID",
            "PatientBirthDate",
            "StudyDate",
            "AccessionNumber",
            "StudyID",
        ),
        Fate.REMOVED: (
            "OtherPatientIDs",
            "InstitutionAddress",
            "PatientComments",
            "StudyDescription",
            "OverlayDate",
        ),
        Fate.DUMMY: ("ContentDate", "DeviceSerialNumber", "ClinicalTrialSubjectID"),
        Fate.MAPPED: ("StudyInstanceUID", "FrameOfReferenceUID", "AnnotationGroupUID"),
        Fate.KEPT: ("PixelData", "Rows", "BurnedInAnnotation", "SOPClassUID", "SourceImageSequence"),
    }
    assert {
        (fate, keyword) for fate, keywords in wanted.items() for keyword in keywords if fates[keyword] != fate
    } == set()
    assert (
        attribute(0x0009_0010).fate
        is attribute(0x6000_3000).fate
        is attribute(0x0010_0001).fate
        is Fate.REMOVED
    )


def test_no_name_date_or_number_of_an_instance_is_kept_anywhere() -> None:
    kept = {
        (vr, keyword)
        for tag, (vr, _, _, _, keyword) in DicomDictionary.items()
        if vr in {"PN", "DA", "DT", "TM", "UR", "UI"} and attribute(tag).fate is Fate.KEPT
    }
    assert {vr for vr, _ in kept} == {"UI"}
    words = ("SOPClass", "TransferSyntax", "CodingScheme", "ContextUID", "MappingResource", "ContextGroup")
    assert [keyword for _, keyword in kept if not any(word in keyword for word in words)] == []


def test_the_dictionary_is_the_standards() -> None:
    wrong = [
        keyword
        for tag, (vr, _, _, _, keyword) in DicomDictionary.items()
        if attribute(tag).vr not in {b"", vr.split(" or ")[0].encode()}
    ]
    assert wrong == []


def test_what_hides_its_kind_is_removed() -> None:
    unknown = b"UN\0\0\x0a\0\0\0Doe^Hidden"
    hidden = b"\x18\x00\x50\x00" + unknown + b"\x18\x00\x06\x90" + unknown  # a number, a sequence
    study = b"\x20\x00\x0d\x00UI"
    before, after = dicoms.dicom().split(study)
    copy = copy_of(before + hidden + study + after)
    assert b"Hidden" not in copy
    assert dicoms.read(copy).Modality == "MR"


def test_deflated_is_refused() -> None:
    with pytest.raises(DeflatedError):
        copy_of(dicoms.dicom(syntax=dicoms.DEFLATED))


@pytest.mark.parametrize("cut", [100, 140, 303, 601, 1203, -1])
def test_what_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(HeaderError):
        copy_of(planted()[:cut])


@pytest.mark.parametrize("syntax", [dicoms.IMPLICIT, dicoms.EXPLICIT, dicoms.RLE])
def test_what_is_cut_off_between_two_elements_is_refused(syntax: str) -> None:
    file, starts = dicoms.dicom(syntax=syntax), []
    for element in dicoms.read(file):
        assert isinstance(element, DataElement)
        starts.append(file.index(struct.pack("<HH", element.tag.group, element.tag.element), 132))
    assert starts == sorted(starts)
    for cut in starts:
        with pytest.raises(NoPixelsError):
            copy_of(file[:cut])
    assert copy_of(file)


def test_too_much_of_anything_is_refused() -> None:
    file = dicoms.dicom()
    start = file[: file.index(b"\x08\x00")]
    deep = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    for many in (deep * 100, b"\x08\x00\x08\x00CS\0\0" * 200_001):
        with pytest.raises(HeaderError):
            copy_of(start + many)


def test_damaged_files_are_copied_or_refused_and_nothing_else() -> None:
    chance, file = random.Random(7), planted()
    for _ in range(300):
        damaged = bytearray(file)
        for _ in range(chance.randrange(1, 8)):
            damaged[chance.randrange(132, 3000)] = chance.randrange(256)
        try:
            copy = copy_of(bytes(damaged))
        except HeaderError:
            continue
        assert copy.startswith(bytes(128) + b"DICM")


def test_without_a_key_that_nobody_guesses_no_gateway_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_DICOM_STORE", "deidentified")
    for key in ("", "short"):
        monkeypatch.setenv("MEDISCAN_DICOM_UID_KEY", key)
        with pytest.raises(SetupError, match="dicom_uid_key must have at least 32 characters"):
            load(GatewaySettings)
    monkeypatch.setenv("MEDISCAN_DICOM_UID_KEY", KEY)
    assert load(GatewaySettings).dicom_store == "deidentified"
