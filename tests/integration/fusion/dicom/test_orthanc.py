"""A real PACS takes what we send, once, shows it, and knows where it belongs."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from highdicom.sr import srread
from PIL import Image
from pydicom import dcmread

from shared.dicom_results import KINDS, DicomResult, instance_uid
from shared.names import blob_path
from tests.integration.fusion.dicom.house import House
from tests.integration.fusion.dicom.test_exporter import attempts
from tests.support.dicom_study import study
from tests.support.orthanc import Orthanc
from tests.support.samples import frame_readings
from tests.unit.fusion.dicom.test_objects import enhanced


@pytest.fixture(scope="module")
def orthanc() -> Iterator[Orthanc]:
    with Orthanc() as running:
        yield running


def test_it_holds_the_result_in_the_image_s_own_study(house: House, orthanc: Orthanc) -> None:
    images = study()
    orthanc.store(*(image.file for image in images))
    ref = house.archived(images[1])
    house.exporter(orthanc.dicomweb_url).export(ref)
    assert attempts(house, ref) == [("delivered", 200)]
    uid = images[1].dataset.StudyInstanceUID
    (found,) = [one for one in orthanc.studies() if one["MainDicomTags"]["StudyInstanceUID"] == uid]
    assert len(found["Series"]) == 1 + len(DicomResult)
    assert found["PatientMainDicomTags"]["PatientID"] == "P-4711"
    stored = {one["SOPInstanceUID"]: one for one in orthanc.instances()}
    for result in DicomResult:
        one = stored[instance_uid(ref.job_id, result)]
        assert (one["StudyInstanceUID"], one["AccessionNumber"]) == (
            images[1].dataset.StudyInstanceUID,
            "A-2026-17",
        )

    before = len(stored)
    house.blobs.delete(blob_path(ref, KINDS[DicomResult.SR].blob))
    house.again(ref)
    house.exporter(orthanc.dicomweb_url).export(ref)
    assert len(orthanc.instances()) == before, "the same objects, made and sent again, are there once"


def test_it_keeps_what_was_said_of_each_frame(house: House, orthanc: Orthanc) -> None:
    image = enhanced()
    facts = image.facts.model_copy(update={"number_of_frames": 3, "frame": "all"})
    ref = house.archived(image, facts, frame=2, frames=frame_readings())
    house.exporter(orthanc.dicomweb_url).export(ref)
    uid = instance_uid(ref.job_id, DicomResult.SR)
    (file,) = [file for file in orthanc.files() if dcmread(io.BytesIO(file)).SOPInstanceUID == uid]
    groups = srread(io.BytesIO(file)).content.get_image_measurement_groups()  # type: ignore[attr-defined]
    said = {one.tracking_identifier: one.source_images[0].referenced_frame_numbers for one in groups}
    assert said == {
        "Reading by the ML model": [2],
        "Reading by Gemini": [2],
        "Both readings joined": [2],
        "Reading by the ML model, frame 1": [1],
        "Reading by the ML model, frame 2": [2],
        "Reading by the ML model, frame 3": [3],
    }


def test_it_shows_the_overlay(house: House, orthanc: Orthanc) -> None:
    image = study()[1]
    ref = house.archived(image)
    house.exporter(orthanc.dicomweb_url).export(ref)
    uid = instance_uid(ref.job_id, DicomResult.OVERLAY)
    (found,) = orthanc.http.post(
        "/tools/find", json={"Level": "Instance", "Query": {"SOPInstanceUID": uid}}
    ).json()
    shown = orthanc.http.get(f"/instances/{found}/preview").raise_for_status().content
    with Image.open(io.BytesIO(shown)) as opened:
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    assert (np.abs(pixels[..., 0] - pixels[..., 2]) > 30).any(), "in colour"
    assert (pixels[-60:] > 150).any(), "with its caption"
