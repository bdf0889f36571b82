"""DICOM through the whole cluster: what is read of it, what stays with the job, and what is refused."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from tests.support import dicoms
from tests.support.cluster import Cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


def header_of(cluster: Cluster, job: dict[str, Any]) -> Dataset:
    (file,) = cluster.blobs.rglob(f"{job['id']}.header")
    return Dataset.from_json(json.loads(file.read_text()))


def test_an_image_is_read_and_the_job_says_where_it_belongs(cluster: Cluster) -> None:
    made = dicoms.dataset(dicoms.slope(300, 400), WindowCenter=2000, WindowWidth=3000)
    job = cluster.run(dicoms.written(made, dicoms.JPEG_2000_LOSSLESS), metadata='{"mine": 1}')
    assert job["state"] == "completed"
    assert (job["image"]["width"], job["image"]["height"]) == (400, 300)
    source = job["image"]["dicom"]
    assert source["study_instance_uid"] == made.StudyInstanceUID
    assert source["series_instance_uid"] == made.SeriesInstanceUID
    assert source["sop_instance_uid"] == made.SOPInstanceUID
    assert source["accession_number"] == "A-17"
    assert job["readings"]["ml"]["image_notes"] == ["window applied"]
    assert job["readings"]["ml"]["frame"] is None
    assert cluster.http.get(job["links"]["heatmap"]).content.startswith(b"\x89PNG")


def test_the_header_is_kept_for_what_points_back_at_the_study(cluster: Cluster) -> None:
    made = dicoms.dataset(dicoms.slope())
    job = cluster.run(dicoms.written(made))
    kept = header_of(cluster, job)
    assert (kept.PatientName, kept.StudyInstanceUID) == ("Test^Drawn", made.StudyInstanceUID)
    assert "PixelData" not in kept
    assert "Drawn" not in json.dumps(job)
    assert cluster.http.delete(job["links"]["self"]).status_code == 204
    assert list(cluster.blobs.rglob(f"{job['id']}.*")) == []


def test_all_frames_are_read_and_one_stands_for_them(cluster: Cluster) -> None:
    job = cluster.run(dicoms.dicom(dicoms.frames(5)), frame="all")
    ml = job["readings"]["ml"]
    assert [one["frame"] for one in ml["frames"]] == [1, 2, 3, 4, 5]
    committed = [one for one in ml["frames"] if one["abstain_reason"] is None] or ml["frames"]
    best = max(committed, key=lambda one: one["p_positive"])
    assert (ml["frame"], ml["p_positive"]) == (best["frame"], best["p_positive"])
    assert ml["image_notes"][:2] == ["highest P(positive) of 5 frames", f"frame {best['frame']} of 5"]


def test_a_frame_may_be_chosen(cluster: Cluster) -> None:
    file = dicoms.dicom(dicoms.frames(5))
    assert cluster.run(file)["readings"]["ml"]["frame"] == 3
    assert cluster.run(file, frame="5")["readings"]["ml"]["frame"] == 5
    refused = cluster.http.post("/v1/jobs", files={"image": file}, data={"frame": "6"})
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_frame")


def test_equal_images_are_one_job_only_where_the_same_frame_is_asked_for(cluster: Cluster) -> None:
    file = dicoms.dicom(dicoms.frames(2))
    first = cluster.run(file, deduplicate="true")
    again = cluster.http.post("/v1/jobs", files={"image": file}, data={"deduplicate": "true"})
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert cluster.submit(file, deduplicate="true", frame="2")["id"] != first["id"]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (dicoms.dicom(Modality="CT"), "modality_mismatch"),
        (dicoms.dicom()[:-900], "image_unreadable"),
        (dicoms.dicom(BitsAllocated=32), "dicom_pixels_unsupported"),
        (dicoms.dicom(np.stack([dicoms.slope()] * 2), NumberOfFrames=64), "image_unreadable"),
    ],
)
def test_what_cannot_be_read_fails_and_says_why(cluster: Cluster, file: bytes, code: str) -> None:
    job = cluster.run(file)
    assert (job["state"], job["error"]["code"]) == ("failed", code)
    assert list(cluster.blobs.rglob(f"{job['id']}.header")) == []


def test_what_is_no_image_is_refused_at_the_door(cluster: Cluster) -> None:
    refused = cluster.http.post("/v1/jobs", files={"image": dicoms.report()})
    assert (refused.status_code, refused.json()["code"]) == (415, "dicom_not_an_image")
