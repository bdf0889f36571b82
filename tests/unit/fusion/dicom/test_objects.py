"""What a job adds to the study of its image: read back with the libraries of the field."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from highdicom.sr import srread
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

from services.fusion.dicom.objects import objects
from services.fusion.dicom.parametric_map import grid_of
from services.fusion.dicom.source import Plane, read_source
from shared.contracts import DISCLAIMER, AbstainReason, JobView
from shared.dicom_results import KINDS, DicomResult, instance_uid, series_uid
from shared.errors import ImageError
from tests.support.dicom_jobs import CAM, finished, preview
from tests.support.dicom_study import ORIENTATION, SPACING, Slice, study
from tests.support.samples import SKIPPED, frame_readings, fused_result, ml_reading

IMAGE = study()[1]
JOB = finished(IMAGE)


def made(job: JobView = JOB, header: bytes | None = None) -> dict[DicomResult, Dataset]:
    found = objects(job, header or IMAGE.header, preview())
    return {result: dcmread(io.BytesIO(data)) for result, data in found.items()}


def group(report: Any, tracking: str) -> Any:
    """The measurements of one reader."""
    (found,) = [
        one for one in report.content.get_image_measurement_groups() if one.tracking_identifier == tracking
    ]
    return found


def numbers(found: Any) -> dict[str, float]:
    return {one.name.value: float(one.value) for one in found.get_measurements()}


def codes(found: Any) -> dict[str, str]:
    codes = {one.name.value: one.value.value for one in found.get_qualitative_evaluations()}
    assert codes.pop("111000") == "123110", "highdicom counts the algorithm's family among them"
    return codes


def report(job: JobView = JOB, image: Slice = IMAGE) -> Any:
    return srread(io.BytesIO(objects(job, image.header, preview())[DicomResult.SR]))


def origins(found: dict[DicomResult, Dataset]) -> list[Dataset]:
    """What overlay and map say that they were made from."""
    (derivation,) = found[DicomResult.MAP].PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
    return [*found[DicomResult.OVERLAY].SourceImageSequence, *derivation.SourceImageSequence]


def words(found: Dataset) -> list[str]:
    """Every text of a report."""
    inside = [text for item in found.get("ContentSequence", []) for text in words(item)]
    return [str(found.TextValue), *inside] if "TextValue" in found else inside


# --- one study, the same objects ------------------------------------------------------------------------------


def test_the_same_job_gives_the_same_objects() -> None:
    assert objects(JOB, IMAGE.header, preview()) == objects(JOB, IMAGE.header, preview())


@pytest.mark.parametrize("result", list(DicomResult))
def test_each_is_of_the_same_patient_and_study_in_a_series_of_its_own(result: DicomResult) -> None:
    found, source = made()[result], IMAGE.dataset
    for keyword in (
        "StudyInstanceUID",
        "StudyID",
        "StudyDate",
        "AccessionNumber",
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
    ):
        assert found[keyword].value == source[keyword].value, keyword
    assert found.SOPInstanceUID == instance_uid(JOB.id, result)
    assert found.SeriesInstanceUID == series_uid(JOB.id, result)
    assert found.SOPClassUID == KINDS[result].sop_class_uid
    assert JOB.ended_at
    assert found.ContentDate == JOB.ended_at.astimezone().strftime("%Y%m%d")


def test_each_points_at_the_image_that_was_read() -> None:
    found = made()
    for reference in origins(found):
        assert reference.ReferencedSOPInstanceUID == IMAGE.dataset.SOPInstanceUID
        assert "ReferencedFrameNumber" not in reference
    (evidence,) = found[DicomResult.SR].CurrentRequestedProcedureEvidenceSequence
    assert evidence.StudyInstanceUID == IMAGE.dataset.StudyInstanceUID
    instance = evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert instance.ReferencedSOPInstanceUID == IMAGE.dataset.SOPInstanceUID


# --- the report ------------------------------------------------------------------------------------------------


def test_the_report_says_who_said_what_and_how_sure() -> None:
    found = report()
    ml, gemini = group(found, "Reading by the ML model"), group(found, "Reading by Gemini")
    fused = group(found, "Both readings joined")
    assert numbers(ml) == {"122157": 0.75, "122411": 0.5, "ood-score": 0.5}
    assert numbers(gemini) == {"122157": 0.5}
    assert numbers(fused) == {"122157": 0.65, "111012": 0.65, "risk-score": 65}
    assert codes(ml) == codes(gemini) == {"108369006": "52101004"}
    assert codes(fused) == {"108369006": "52101004", "needs-review": "373067005"}
    (where,) = ml.finding_sites
    assert where.value.value == "12738006"
    said = words(found)
    assert {"brain-mri-mobilenetv2", "0.1.0", "gemini-3.8-flash", "policy weighted"} <= set(said)
    assert DISCLAIMER in said
    assert "Both readers see a lesion." in said


def test_a_model_without_a_code_for_its_finding_finds_something() -> None:
    found = report(finished(IMAGE, ml=ml_reading(cam=CAM, finding=None)))
    assert codes(group(found, "Reading by the ML model")) == {"404684003": "52101004"}


def test_the_report_is_unverified_and_preliminary() -> None:
    found = made()[DicomResult.SR]
    assert (found.VerificationFlag, found.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert found.CodingSchemeIdentificationSequence[-1].CodingSchemeDesignator == "99MEDISCAN"


def test_a_reader_that_abstains_is_no_negative_one() -> None:
    ml = ml_reading(cam=CAM, abstain_reason=AbstainReason.OUT_OF_DISTRIBUTION)
    found = report(finished(IMAGE, ml=ml, gemini=SKIPPED, result=fused_result(label=None, needs_review=True)))
    assert codes(group(found, "Reading by the ML model")) == {"108369006": "82334004", "abstention": "ood"}
    assert codes(group(found, "Both readings joined"))["needs-review"] == "373066001"
    trackers = [one.tracking_identifier for one in found.content.get_image_measurement_groups()]
    assert "Reading by Gemini" not in trackers


# --- the pictures ----------------------------------------------------------------------------------------------


def test_the_overlay_is_in_colour_and_says_under_the_picture_what_it_is_not() -> None:
    found = made()[DicomResult.OVERLAY]
    pixels = found.pixel_array
    assert found.PhotometricInterpretation == "RGB"
    picture_rows = round(IMAGE.dataset.Rows * pixels.shape[1] / IMAGE.dataset.Columns)
    picture, caption = pixels[:picture_rows].astype(int), pixels[picture_rows:]
    coloured = np.abs(picture[..., 0] - picture[..., 2]) > 30
    rows, columns = np.nonzero(coloured)
    # The cell in row 2 and column 4 of 7, of a square as wide as the picture.
    side = pixels.shape[1]
    assert abs(columns.mean() / side - 4.5 / 7) < 0.05
    assert abs((rows.mean() + (side - picture_rows) / 2) / side - 2.5 / 7) < 0.05
    assert caption.shape[0] > 40
    assert (caption > 150).mean() > 0.01
    assert found.LossyImageCompression == "01"


def test_the_map_holds_the_model_s_own_numbers_with_their_meaning() -> None:
    found = made()[DicomResult.MAP]
    assert np.allclose(found.pixel_array, np.array(CAM, dtype=np.float32))
    geometry = hd.pm.ParametricMap.from_dataset(found).get_volume_geometry()
    assert geometry is not None
    assert geometry.spatial_shape == (1, 7, 7)
    mapping = found.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    (quantity,) = mapping.QuantityDefinitionSequence
    assert quantity.ConceptCodeSequence[0].CodeValue == "130403"
    assert found.ContentQualification == "RESEARCH"
    assert found.FrameOfReferenceUID == IMAGE.dataset.FrameOfReferenceUID


def test_the_map_lies_where_the_image_does() -> None:
    """The lesion's pixel is in the same place of the patient by the image's geometry as by the map's."""
    found = made()[DicomResult.MAP]
    cell = (2, 4)
    side, rows, columns = 256, IMAGE.dataset.Rows, IMAGE.dataset.Columns
    # The middle of that cell, in pixels of the image, which is the middle part of a square.
    row = (cell[0] + 0.5) * side / 7 - (side - rows) / 2 - 0.5
    column = (cell[1] + 0.5) * side / 7 - (side - columns) / 2 - 0.5
    by_image = hd.spatial.PixelToReferenceTransformer(
        IMAGE.dataset.ImagePositionPatient, ORIENTATION, SPACING
    )
    groups = found.SharedFunctionalGroupsSequence[0]
    position = (
        found.PerFrameFunctionalGroupsSequence[0].get("PlanePositionSequence") or groups.PlanePositionSequence
    )
    by_map = hd.spatial.PixelToReferenceTransformer(
        position[0].ImagePositionPatient,
        groups.PlaneOrientationSequence[0].ImageOrientationPatient,
        groups.PixelMeasuresSequence[0].PixelSpacing,
    )
    there = by_map(np.array([[cell[1], cell[0]]]))[0]
    exactly = np.array(IMAGE.dataset.ImagePositionPatient) + np.array(ORIENTATION[:3]) * column * SPACING[1]
    exactly = exactly + np.array(ORIENTATION[3:]) * row * SPACING[0]
    assert np.allclose(there, exactly, atol=1e-3)
    assert np.allclose(by_image(np.array([[round(column), round(row)]]))[0], exactly, atol=1.0)


def test_a_grid_over_a_square_begins_half_a_cell_in() -> None:
    plane = Plane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (1.0, 1.0), 1.0)
    grid = grid_of(plane, rows=70, columns=70, cells=7)
    assert (grid.position, grid.spacing) == ((4.5, 4.5, 0.0), (10.0, 10.0))


# --- other images ----------------------------------------------------------------------------------------------


def enhanced(frames: int = 3) -> Slice:
    """A multi-frame image: geometry in functional groups, one a frame."""
    image = study()[0]
    found = image.dataset
    found.SOPClassUID = EnhancedMRImageStorage
    del found.ImagePositionPatient, found.ImageOrientationPatient, found.PixelSpacing, found.SliceThickness
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [2.0, 2.0], 4.0
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    found.SharedFunctionalGroupsSequence = [shared]
    found.PerFrameFunctionalGroupsSequence = []
    for number in range(frames):
        own, position = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, 10 * number]
        own.PlanePositionSequence = [position]
        found.PerFrameFunctionalGroupsSequence.append(own)
    return Slice(found, image.file)


def test_of_several_frames_the_one_that_was_read_is_meant() -> None:
    image = enhanced()
    facts = image.facts.model_copy(update={"number_of_frames": 3, "frame": "all"})
    job = finished(image, facts, ml=ml_reading(cam=CAM, frame=2))
    assert read_source(job, image.header).plane == Plane((0, 0, 10), (1, 0, 0, 0, 1, 0), (2, 2), 4)
    found = made(job, image.header)
    assert [reference.ReferencedFrameNumber for reference in origins(found)] == [2, 2]
    measured = srread(io.BytesIO(objects(job, image.header, preview())[DicomResult.SR]))
    (source,) = group(measured, "Reading by the ML model").source_images
    assert source.referenced_frame_numbers == [2]


def test_each_frame_that_was_read_has_its_own_group() -> None:
    image = enhanced()
    facts = image.facts.model_copy(update={"number_of_frames": 3, "frame": "all"})
    job = finished(image, facts, ml=ml_reading(cam=CAM, frame=2, frames=frame_readings()), gemini=SKIPPED)
    found = report(job, image)
    groups = [group(found, f"Reading by the ML model, frame {number}") for number in (1, 2, 3)]
    assert [one.source_images[0].referenced_frame_numbers for one in groups] == [[1], [2], [3]]
    assert [numbers(one) for one in groups] == [
        {"122157": p, "122411": 0.5, "ood-score": ood} for p, ood in ((0.25, 0.4), (0.75, 0.5), (0.875, 1.5))
    ]
    assert [codes(one) for one in groups] == [
        {"108369006": "272519000"},
        {"108369006": "52101004"},
        {"108369006": "82334004", "abstention": "ood"},
    ]
    every = found.content.get_image_measurement_groups()
    assert len({one.tracking_uid for one in every}) == len(every) == 5
    assert numbers(group(found, "Reading by the ML model")) == numbers(groups[1]), (
        "the one that stands for all"
    )


def test_an_image_that_has_no_place_in_space_gets_no_map() -> None:
    image = study()[0]
    del image.dataset.FrameOfReferenceUID, image.dataset.ImagePositionPatient
    assert set(made(finished(image), image.header)) == {DicomResult.SR, DicomResult.OVERLAY}


def test_without_a_preview_there_is_no_overlay() -> None:
    assert set(objects(JOB, IMAGE.header, None)) == {DicomResult.SR, DicomResult.MAP}


def changed(**values: Any) -> bytes:
    """The header with attributes as no scanner should write them, by tag."""
    return json.dumps(
        {**json.loads(IMAGE.header), **{tag[1:]: value for tag, value in values.items()}}
    ).encode()


@pytest.mark.parametrize(
    "header",
    [
        b"{}",
        b"[]",
        changed(_00100010={"vr": "PN", "Value": ["no alphabetic"]}),
        changed(_00100010={"vr": "PN", "Value": [{"Alphabetic": "X" * 500}]}),
        changed(_00100020={"vr": "LO", "Value": ["long " * 30]}),
        changed(_00100030={"vr": "DA", "Value": ["not a date"]}),
        changed(_00100040={"vr": "CS", "Value": ["unknown sex"]}),
        changed(_00080030={"vr": "TM", "Value": ["99:99"]}),
        changed(_00200032={"vr": "DS", "Value": ["1", "nan"]}),
        changed(_00200037={"vr": "DS", "Value": ["nan"] * 6}),
        changed(_00280030={"vr": "SQ", "Value": []}),
        changed(_52009230={"vr": "SQ", "Value": "nothing"}),
        changed(_00100020="a word"),
    ],
)
def test_a_header_that_breaks_rules_costs_no_more_than_what_it_spoils(header: bytes) -> None:
    found = made(header=header)
    assert {DicomResult.SR, DicomResult.OVERLAY} <= set(found)
    assert found[DicomResult.SR].StudyInstanceUID == IMAGE.dataset.StudyInstanceUID


def test_a_uid_with_a_leading_zero_is_sent_on_as_it_came() -> None:
    facts = IMAGE.facts.model_copy(update={"study_instance_uid": "1.2.007.3"})
    assert made(finished(IMAGE, facts))[DicomResult.SR].StudyInstanceUID == "1.2.007.3"


def test_what_is_no_header_is_refused() -> None:
    with pytest.raises(ImageError):
        objects(JOB, b"no JSON", preview())


def test_times_are_those_of_the_job() -> None:
    later = finished(IMAGE, ended_at=datetime(2026, 5, 6, 12, tzinfo=UTC).timestamp())
    assert made(later)[DicomResult.SR].ContentDate == "20260506"
