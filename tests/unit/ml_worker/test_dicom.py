"""Whether a DICOM upload is what the model reads and what the job says, and which frame stands for all."""

import json
from typing import Any

import pytest

from services.ml_worker.dicom import check_dicom
from services.ml_worker.logic import chosen, of_all
from shared.contracts import AbstainReason, DicomSource, FrameReading, Label, MlReading
from shared.errors import ImageError
from shared.image.picture import DicomFacts
from tests.support.samples import dicom_source, ml_reading
from tests.unit.ml_worker.cards import card


def facts(modality: str = "MR", source: DicomSource | None = None) -> DicomFacts:
    named = source or dicom_source()
    header = {
        "0020000D": {"vr": "UI", "Value": [named.study_instance_uid]},
        "00080018": {"vr": "UI", "Value": [named.sop_instance_uid]},
    }
    return DicomFacts(json.dumps(header), modality, "")


def refused(*given: Any) -> str:
    with pytest.raises(ImageError) as error:
        check_dicom(*given)
    return error.value.code


def test_a_modality_of_the_card_is_read() -> None:
    check_dicom(facts(), dicom_source(), card(modality=("CT", "MR")))


@pytest.mark.parametrize("modality", ["CT", "", "mr"])
def test_another_modality_is_not(modality: str) -> None:
    assert refused(facts(modality), dicom_source(), card(modality=("MR",))) == "modality_mismatch"


@pytest.mark.parametrize("field", ["study_instance_uid", "sop_instance_uid"])
def test_a_header_that_names_another_image_than_the_job_is_not_read(field: str) -> None:
    other = dicom_source(**{field: "2.25.9"})
    assert refused(facts(source=other), dicom_source(), card()) == "dicom_header_contradicts"


def test_a_job_that_knows_nothing_of_dicom_is_not_read_as_it() -> None:
    assert refused(facts(), None, card()) == "dicom_header_contradicts"
    assert refused(DicomFacts("{}", "MR", ""), dicom_source(), card()) == "dicom_header_contradicts"


# --- several frames ---------------------------------------------------------------------------------------

DOUBT = AbstainReason.INCONCLUSIVE


def frame(number: int, p_positive: float, abstain_reason: AbstainReason | None = None) -> MlReading:
    return ml_reading(frame=number, p_positive=p_positive, abstain_reason=abstain_reason, image_notes=("a",))


@pytest.mark.parametrize(
    ("readings", "number"),
    [
        ([frame(1, 0.2), frame(2, 0.8), frame(3, 0.5)], 2),
        ([frame(1, 0.2), frame(2, 0.9, DOUBT), frame(3, 0.5)], 3),
        ([frame(1, 0.2, DOUBT), frame(2, 0.9, DOUBT)], 2),
        ([frame(1, 0.5), frame(2, 0.5)], 1),
    ],
)
def test_the_highest_p_positive_of_those_that_commit_themselves_stands_for_all(
    readings: list[MlReading], number: int
) -> None:
    assert chosen(readings).frame == number


def test_what_each_frame_said_goes_with_it() -> None:
    read = of_all([frame(1, 0.2, DOUBT), frame(2, 0.8)])
    assert (read.frame, read.p_positive) == (2, 0.8)
    assert read.image_notes == ("highest P(positive) of 2 frames", "a")
    assert read.frames == (
        FrameReading(frame=1, label=Label.POSITIVE, p_positive=0.2, ood_score=0.5, abstain_reason=DOUBT),
        FrameReading(frame=2, label=Label.POSITIVE, p_positive=0.8, ood_score=0.5),
    )


def test_one_frame_is_the_reading_as_it_is() -> None:
    assert of_all([frame(3, 0.2)]) == frame(3, 0.2)
