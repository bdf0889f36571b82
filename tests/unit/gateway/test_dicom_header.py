"""What the first bytes of a DICOM file give away, without a DICOM library."""

import struct
import time

import pytest
from pydicom import Dataset
from pydicom.tag import Tag

from services.gateway.dicom_header import named
from services.gateway.image_header import ImageHeader, check_end, read_header
from shared.errors import BadUploadError
from tests.support import dicoms

MAX_PIXELS = 30_000_000
SYNTAXES = [
    dicoms.IMPLICIT,
    dicoms.EXPLICIT,
    dicoms.DEFLATED,
    dicoms.BIG_ENDIAN,
    dicoms.RLE,
]


def header(file: bytes, limit: int = 1 << 20) -> ImageHeader:
    return read_header(file[:limit], MAX_PIXELS)


def refused(file: bytes) -> tuple[int, str]:
    with pytest.raises(BadUploadError) as error:
        header(file)
    return error.value.status, error.value.code


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_encoding_says_which_image_it_is(syntax: str) -> None:
    made = dicoms.dataset(dicoms.frames(3))
    found = header(dicoms.written(made, syntax))
    assert (found.media_type, found.width, found.height) == ("application/dicom", 64, 48)
    source = found.dicom
    assert source is not None
    assert source.study_instance_uid == made.StudyInstanceUID
    assert source.series_instance_uid == made.SeriesInstanceUID
    assert source.sop_instance_uid == made.SOPInstanceUID
    assert (source.sop_class_uid, source.transfer_syntax_uid) == (dicoms.MR_IMAGE, syntax)
    assert (source.modality, source.body_part, source.accession_number) == ("MR", "BRAIN", "A-17")
    assert (source.number_of_frames, source.frame) == (3, "middle")


@pytest.mark.parametrize("syntax", [dicoms.IMPLICIT, dicoms.EXPLICIT, dicoms.BIG_ENDIAN])
@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_before_what_is_looked_for_are_stepped_over(syntax: str, undefined: bool) -> None:
    inner, outer = Dataset(), Dataset()
    inner.StudyInstanceUID, inner.Rows = "1.2.3", 7
    outer.ReferencedSOPSequence = [inner, inner]
    made = dicoms.dataset(dicoms.slope(), ReferencedImageSequence=[outer])
    for sequence in (made["ReferencedImageSequence"], outer["ReferencedSOPSequence"]):
        sequence.is_undefined_length = undefined
        for item in sequence.value:
            item.is_undefined_length_sequence_item = undefined
    found = header(dicoms.written(made, syntax))
    assert found.dicom is not None
    assert found.dicom.study_instance_uid == made.StudyInstanceUID
    assert found.height == 48


def test_nothing_of_the_patient_is_kept() -> None:
    assert "Drawn" not in repr(header(dicoms.dicom()))


def test_what_a_job_can_do_without_may_be_missing_or_odd() -> None:
    made = dicoms.dataset(
        dicoms.slope(),
        AccessionNumber="Prüf 17",
        BodyPartExamined="the head",
        SpecificCharacterSet="ISO_IR 100",
    )
    source = header(dicoms.written(made)).dicom
    assert source is not None
    assert (source.accession_number, source.body_part) == (None, None)


def test_its_end_need_not_be_marked() -> None:
    check_end("application/dicom", b"anything")


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        (dicoms.report(), 415, "dicom_not_an_image"),
        (dicoms.dicom()[:200], 422, "dicom_header_damaged"),
        (b"\0" * 128 + b"DICM", 422, "dicom_not_identified"),
        (dicoms.dicom(StudyInstanceUID=""), 422, "dicom_not_identified"),
        (dicoms.dicom(Modality="not a code"), 422, "dicom_not_identified"),
        (dicoms.dicom(NumberOfFrames="0"), 422, "dicom_not_identified"),
        (dicoms.dicom(Rows=30_000, Columns=30_000), 422, "too_many_pixels"),
        (dicoms.dicom(Rows=0), 415, "dicom_not_an_image"),
    ],
)
def test_what_is_refused(file: bytes, status: int, code: str) -> None:
    assert refused(file) == (status, code)


def test_a_header_longer_than_its_first_bytes_is_refused() -> None:
    made = dicoms.dataset(dicoms.slope())
    made.add_new(Tag(0x0009, 0x0010), "LO", "MAKER")
    made.add_new(Tag(0x0009, 0x1001), "OB", bytes(2 << 20))
    assert refused(dicoms.written(made)) == (422, "dicom_header_damaged")


def element(tag: int, vr: bytes, length: int) -> bytes:
    long = vr in {b"SQ", b"UN", b"OB"}
    form = "<HH2sHI" if long else "<HH2sH"
    return struct.pack(form, tag >> 16, tag & 0xFFFF, vr, *((0, length) if long else (length,)))


def head_with(after_meta: bytes) -> bytes:
    file = dicoms.dicom()
    start = file.index(struct.pack("<HH", 0x0008, 0x0016), 132)
    return file[:start] + after_meta


@pytest.mark.parametrize(
    "hostile",
    [
        element(0x0008_1140, b"SQ", 0xFFFF_FFFF) * 50_000,
        (element(0x0008_1140, b"UN", 0xFFFF_FFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 20_000,
        element(0x0008_0005, b"CS", 0) * 100_000,
        element(0x0008_0005, b"OB", 0xFFFF_FFFE),
    ],
    ids=["deep", "deep and unknown", "very many", "a huge length"],
)
def test_no_header_keeps_the_gateway_busy(hostile: bytes) -> None:
    start = time.process_time()
    assert refused(head_with(hostile)) == (422, "dicom_header_damaged")
    assert time.process_time() - start < 1, "a fiftieth of a second is usual"


def test_a_deflated_header_unpacks_to_no_more_than_is_looked_at() -> None:
    made = dicoms.dataset(dicoms.slope(), ImageComments="x")
    made.add_new(Tag(0x0009, 0x1001), "UN", bytes(200 << 20))
    assert refused(dicoms.written(made, dicoms.DEFLATED)) == (422, "dicom_header_damaged")


def test_a_file_is_named_by_its_meta_information() -> None:
    made = dicoms.dataset(dicoms.slope())
    assert named(dicoms.written(made)) == {
        "sop_class_uid": dicoms.MR_IMAGE,
        "sop_instance_uid": made.SOPInstanceUID,
    }
    assert named(b"no DICOM at all") == {}
