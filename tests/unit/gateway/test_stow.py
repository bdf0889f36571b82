"""What STOW-RS is answered with, and which instances are taken."""

import json
from io import BytesIO

import pytest
from pydicom import Dataset

from services.gateway.stow import Outcome, check_instance
from shared.contracts import DicomSource
from shared.errors import BadUploadError
from tests.support import dicoms
from tests.support.samples import dicom_source

NAMED = {"sop_class_uid": dicoms.MR_IMAGE, "sop_instance_uid": "2.25.7"}


def answer(outcome: Outcome) -> Dataset:
    return Dataset.from_json(json.loads(outcome.text()))


def refusal(source: DicomSource | None, study: str | None = None) -> str:
    with pytest.raises(BadUploadError) as refused:
        check_instance(source, study)
    return refused.value.code


def test_all_jobs_is_200() -> None:
    outcome = Outcome()
    outcome.accept(dicom_source(), "/v1/jobs/x")
    assert outcome.status == 200
    (item,) = answer(outcome).ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == dicom_source().sop_instance_uid
    assert item.RetrieveURL == "/v1/jobs/x"
    assert "FailedSOPSequence" not in answer(outcome)


def test_some_is_202_and_the_refused_are_named() -> None:
    outcome = Outcome()
    outcome.accept(dicom_source(), "/v1/jobs/x")
    outcome.refuse(NAMED, "dicom_not_an_image")
    outcome.refuse({}, "unsupported_image")
    assert outcome.status == 202
    (item,) = answer(outcome).FailedSOPSequence
    assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == (dicoms.MR_IMAGE, "2.25.7")
    assert item.FailureReason == 0x0122
    assert item.private_block(0x0009, "MEDISCAN")[0x01].value == "dicom_not_an_image"
    assert answer(outcome).OtherFailuresSequence[0].FailureReason == 0xC000


@pytest.mark.parametrize(
    ("code", "no_room", "reason"),
    [("dicom_other_study", False, 0xA900), ("house_full", True, 0xA700), ("anything", False, 0xC000)],
)
def test_none_is_409(code: str, no_room: bool, reason: int) -> None:
    outcome = Outcome()
    outcome.refuse(NAMED, code, no_room=no_room)
    assert outcome.status == 409
    assert answer(outcome).FailedSOPSequence[0].FailureReason == reason


def test_an_image_is_taken() -> None:
    assert check_instance(dicom_source(), None) == dicom_source()
    assert check_instance(dicom_source(), dicom_source().study_instance_uid) == dicom_source()


@pytest.mark.parametrize("kind", ["7", "7.4", "30", "66", "66.4", "66.5"])
def test_what_is_made_from_images_is_not(kind: str) -> None:
    derived = dicom_source(sop_class_uid=f"1.2.840.10008.5.1.4.1.1.{kind}")
    assert refusal(derived) == "dicom_derived"


def test_what_only_begins_like_it_is() -> None:
    enhanced = dicom_source(sop_class_uid="1.2.840.10008.5.1.4.1.1.77.1.6")
    assert check_instance(enhanced, None) == enhanced


def test_another_study_or_no_dicom_is_not() -> None:
    assert refusal(dicom_source(), "2.25.1") == "dicom_other_study"
    assert refusal(None) == "unsupported_image"


def test_the_answer_can_be_read_by_others() -> None:
    outcome = Outcome()
    outcome.refuse(NAMED, "x")
    out = BytesIO()
    answer(outcome).save_as(out, implicit_vr=False, little_endian=True)
    assert out.getvalue()
