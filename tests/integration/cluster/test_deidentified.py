"""A house that keeps de-identified copies: what stands of the patient in any file, any record, any line. Nothing."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from services.gateway.deidentified.uids import remapping
from tests.integration.gateway.test_dicomweb import TYPE, body, codes
from tests.support import dicoms
from tests.support.cluster import Cluster
from tests.support.dicom_planted import MARKS, planted
from tests.support.waiting import wait_until

KEY = "a key of the house, for no other use"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(DICOM_STORE="deidentified", DICOM_UID_KEY=KEY, LOG_LEVEL="DEBUG") as running:
        yield running


def dumped(cluster: Cluster) -> dict[str, bytes]:
    """Every key of the ledger with what it holds."""
    with cluster.ledger_server.client() as client:
        readers: dict[str, Any] = {
            "hash": client.hgetall,
            "zset": lambda key: client.zrange(key, 0, -1),
            "set": client.smembers,
            "string": client.get,
            "list": lambda key: client.lrange(key, 0, -1),
            "none": lambda _: "",
        }
        return {key: f"{key} {readers[client.type(key)](key)}".encode() for key in client.scan_iter()}


def kept_of_patient(cluster: Cluster) -> list[str]:
    """Where anything of the patient is found."""
    held = {
        **{str(file): str(file).encode() + file.read_bytes() for file in cluster.blob_files()},
        **dumped(cluster),
        "logs": cluster.logs().encode(),
    }
    return [f"{where}: {mark!r}" for where, data in held.items() for mark in MARKS if mark in data]


def made(cluster: Cluster, job: dict[str, Any], kind: str) -> Dataset:
    path = f"/v1/jobs/{job['id']}/dicom/{kind}"
    wait_until(lambda: cluster.http.get(path).status_code == 200, timeout_s=60, what=f"{kind} is made")
    return dcmread(io.BytesIO(cluster.http.get(path).content))


def stow(cluster: Cluster, *files: bytes) -> Dataset:
    answer = cluster.http.post("/dicomweb/studies", content=body(*files), headers={"Content-Type": TYPE})
    return Dataset.from_json(answer.json())


def test_no_stored_byte_names_the_patient_and_the_results_are_the_copys(cluster: Cluster) -> None:
    job = cluster.run(planted())
    assert job["state"] == "completed", job["error"]
    source, remap = job["image"]["dicom"], remapping(KEY, "default")
    assert source["deidentified"] is True
    assert source["accession_number"] is None
    assert source["study_instance_uid"] == remap(dicoms.read(planted()).StudyInstanceUID)
    for kind in ("sr", "overlay"):
        found = made(cluster, job, kind)
        assert found.StudyInstanceUID == source["study_instance_uid"]
        assert (found.PatientIdentityRemoved, found.PatientName) == ("YES", "")
    bundle = cluster.http.get(f"/v1/jobs/{job['id']}/result", headers={"Accept": "application/fhir+json"})
    assert not any(mark in bundle.content for mark in MARKS)
    assert source["study_instance_uid"] in bundle.text
    assert len(cluster.blob_files()) >= 4
    assert kept_of_patient(cluster) == []


def test_what_is_looked_for_would_be_found(cluster: Cluster) -> None:
    (cluster.blobs / "default").mkdir(exist_ok=True)
    left = cluster.blobs / "default" / "planted"
    left.write_bytes(planted())
    try:
        assert len(kept_of_patient(cluster)) >= len(MARKS)
    finally:
        left.unlink()


def test_a_large_image_is_copied_while_it_comes_in_and_is_the_same_job_again(cluster: Cluster) -> None:
    file = dicoms.dicom(dicoms.slope(1000, 1200), PatientName="Planted^Large")
    first = cluster.run(file, deduplicate="true")
    assert first["state"] == "completed", first["error"]
    again = cluster.http.post("/v1/jobs", files={"image": file}, data={"deduplicate": "true"})
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    (stored,) = cluster.blobs.rglob(f"{first['id']}.image")
    assert stored.stat().st_size == first["image"]["size_bytes"]
    assert kept_of_patient(cluster) == []


def test_a_pacs_is_answered_in_its_own_words(cluster: Cluster) -> None:
    file, whole = planted(dicoms.IMPLICIT), planted()
    uid = dicoms.read(file).SOPInstanceUID
    stored = stow(
        cluster, file, whole[:-9], whole[: dicoms.pixels_at(whole)], dicoms.dicom(syntax=dicoms.DEFLATED)
    )
    assert [item.ReferencedSOPInstanceUID for item in stored.ReferencedSOPSequence] == [uid]
    assert codes(stored.FailedSOPSequence) == ["dicom_header_damaged", "dicom_no_pixels", "dicom_deflated"]
    url = stored.ReferencedSOPSequence[0].RetrieveURL
    assert stow(cluster, file).ReferencedSOPSequence[0].RetrieveURL == url
    job = cluster.finished(url.rsplit("/", 1)[-1])
    assert job["client_id"] == remapping(KEY, "default")(uid) == job["image"]["dicom"]["sop_instance_uid"]
    assert kept_of_patient(cluster) == []


def test_a_zip_is_not_kept_even_for_a_moment(cluster: Cluster) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("scan.dcm", planted())
    answer = cluster.http.post("/v1/batches", files={"archive": ("study.zip", packed.getvalue())})
    assert (answer.status_code, answer.json()["code"]) == (415, "archive_not_deidentified")
    assert kept_of_patient(cluster) == []


def test_the_key_is_in_no_log_and_no_answer(cluster: Cluster) -> None:
    assert KEY not in cluster.logs()
    assert KEY not in json.dumps(cluster.http.get("/v1/cluster").json())
