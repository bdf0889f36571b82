"""A hospital's round: a scanner sends a study to the PACS, that forwards it, and the results are back in the study."""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from highdicom.sr import srread
from pydicom import dcmread
from pydicom.dataset import Dataset

from shared.dicom_results import KINDS, DicomResult, instance_uid
from tests.support.cluster import Cluster
from tests.support.dicom_study import Slice, study
from tests.support.orthanc import Orthanc
from tests.support.waiting import wait_until

SLICES = 3


def storescu() -> str:
    found = shutil.which("storescu")
    if found:
        return found
    reason = "no storescu (Debian: dcmtk)"
    if os.environ.get("SKIP_NOTHING"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def images() -> list[Slice]:
    return study(SLICES)


@pytest.fixture(scope="module")
def orthanc() -> Iterator[Orthanc]:
    with Orthanc() as running:
        yield running


@pytest.fixture(scope="module")
def cluster(orthanc: Orthanc) -> Iterator[Cluster]:
    with Cluster(PACS_URL=orthanc.dicomweb_url) as running:
        orthanc.http.put(
            "/dicom-web/servers/mediscan", json={"Url": f"{running.url}/dicomweb/"}
        ).raise_for_status()
        yield running


@pytest.fixture(scope="module")
def jobs(
    cluster: Cluster, orthanc: Orthanc, images: list[Slice], tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """The round, once: scanned, forwarded, read, and the results stored; a job a slice."""
    scan(orthanc, images, tmp_path_factory.mktemp("scan"))
    forward(orthanc, images)
    ended = finished(cluster, images)
    everything = SLICES * (1 + len(DicomResult))
    wait_until(lambda: len(orthanc.instances()) == everything, timeout_s=120, what="the PACS has all results")
    return ended


def scan(orthanc: Orthanc, images: list[Slice], folder: Path) -> None:
    """The scanner's part: C-STORE, by dcmtk."""
    files = []
    for number, image in enumerate(images):
        files.append(folder / f"{number}.dcm")
        files[-1].write_bytes(image.file)
    address = ["-aec", "ORTHANC", "127.0.0.1", str(orthanc.dicom_port)]
    subprocess.run([storescu(), *address, *files], check=True, capture_output=True, timeout=60)


def forward(orthanc: Orthanc, images: list[Slice]) -> None:
    """The PACS's part: the series of the scanner, by STOW-RS."""
    wanted = {"SeriesInstanceUID": images[0].dataset.SeriesInstanceUID}
    (series,) = orthanc.http.post("/tools/find", json={"Level": "Series", "Query": wanted}).json()
    answer = orthanc.http.post("/dicom-web/servers/mediscan/stow", json={"Resources": [series]})
    assert answer.is_success, answer.text


def held(orthanc: Orthanc, images: list[Slice]) -> dict[str, Dataset]:
    """What the PACS has in the study, by SOP Instance UID."""
    found = [dcmread(io.BytesIO(file)) for file in orthanc.files()]
    assert {one.StudyInstanceUID for one in found} == {images[0].dataset.StudyInstanceUID}
    return {one.SOPInstanceUID: one for one in found}


def finished(cluster: Cluster, images: list[Slice]) -> list[dict[str, Any]]:
    return [cluster.finished(image.dataset.SOPInstanceUID, timeout_s=120) for image in images]


def test_the_results_of_a_study_are_in_it(
    cluster: Cluster, orthanc: Orthanc, images: list[Slice], jobs: list[dict[str, Any]]
) -> None:
    assert [job["state"] for job in jobs] == ["completed"] * SLICES
    stored = held(orthanc, images)
    for image, job in zip(images, jobs, strict=True):
        of_job = {result: stored[instance_uid(job["id"], result)] for result in DicomResult}
        for result, made in of_job.items():
            assert made.SOPClassUID == KINDS[result].sop_class_uid
            assert (made.PatientID, made.AccessionNumber) == ("P-4711", "A-2026-17")
            assert str(made.PatientName) == "Phantom^Käthe"
        origin = of_job[DicomResult.OVERLAY].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert origin == image.dataset.SOPInstanceUID
        assert of_job[DicomResult.MAP].FrameOfReferenceUID == image.dataset.FrameOfReferenceUID
        assert_says_the_same(of_job[DicomResult.SR], job)
        assert_points_at_them(cluster, job, stored)
        (push,) = cluster.http.get(f"/v1/jobs/{job['id']}/deliveries").json()["items"]
        assert (push["target"], push["state"]) == ("pacs", "delivered")


def assert_says_the_same(report: Dataset, job: dict[str, Any]) -> None:
    out = io.BytesIO()
    report.save_as(out)
    read: Any = srread(io.BytesIO(out.getvalue()))
    groups = read.content.get_image_measurement_groups()
    (fused,) = [group for group in groups if group.tracking_identifier == "Both readings joined"]
    numbers = {one.name.value: float(one.value) for one in fused.get_measurements()}
    assert numbers["122157"] == pytest.approx(job["result"]["p_positive"], abs=1e-6)
    (source,) = fused.source_images
    assert source.referenced_sop_instance_uid == job["image"]["dicom"]["sop_instance_uid"]


def assert_points_at_them(cluster: Cluster, job: dict[str, Any], stored: dict[str, Dataset]) -> None:
    """The FHIR bundle names the study, the image and the results, and all of them are in the PACS."""
    answer = cluster.http.get(f"/v1/jobs/{job['id']}/result", headers={"accept": "application/fhir+json"})
    (found,) = [
        entry["resource"]
        for entry in answer.json()["entry"]
        if entry["resource"]["resourceType"] == "ImagingStudy"
    ]
    source = job["image"]["dicom"]
    assert found["identifier"][0]["value"] == f"urn:oid:{source['study_instance_uid']}"
    assert found["subject"]["identifier"]["value"] == "P-4711"
    named = {one["uid"]: series["uid"] for series in found["series"] for one in series["instance"]}
    assert len(named) == 1 + len(DicomResult)
    assert {uid: stored[uid].SeriesInstanceUID for uid in named} == named


def test_a_study_that_is_forwarded_again_brings_nothing_new(
    cluster: Cluster, orthanc: Orthanc, images: list[Slice], jobs: list[dict[str, Any]]
) -> None:
    forward(orthanc, images)
    assert [job["id"] for job in finished(cluster, images)] == [job["id"] for job in jobs]
    assert len(orthanc.instances()) == SLICES * (1 + len(DicomResult))
