"""A real PACS forwards studies to the cluster, set up as docs/dicom.md says."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom import Dataset

from services.gateway.key_admin import KeyAdmin
from shared.blob_store import BlobStore
from tests.support import dicoms
from tests.support.cluster import Cluster
from tests.support.launch import ROOT
from tests.support.orthanc import Orthanc, orthanc_program
from tests.support.waiting import wait_until

PAGE = (ROOT / "docs/dicom.md").read_text()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    orthanc_program()
    with Cluster(AUTH="keys") as running:
        _, token = KeyAdmin(BlobStore.open(f"file://{running.blobs}")).create(
            tenant="ward-7", scopes=("submit", "read")
        )
        running.http.headers["X-API-Key"] = token.text
        yield running


@pytest.fixture(scope="module")
def pacs(cluster: Cluster) -> Iterator[Orthanc]:
    with Orthanc(configuration(cluster), scripts={"forward.lua": block("lua")}) as running:
        yield running


def block(language: str) -> str:
    """The one block of the page in this language that is Orthanc's."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE[PAGE.index("### Orthanc") :], re.DOTALL)
    return str(found)


def configuration(cluster: Cluster) -> dict[str, Any]:
    """The page's, with what differs in each house: the address, the key, and a shorter wait."""
    config: dict[str, Any] = json.loads(block("json"))
    (server,) = config["DicomWeb"]["Servers"].values()
    server["Url"] = server["Url"].replace("http://127.0.0.1:8000", cluster.url)
    server["Password"] = cluster.http.headers["X-API-Key"]
    del config["LuaScripts"]  # the test puts the page's script where it runs
    return config | {"StableAge": 1}


def study(count: int) -> list[Dataset]:
    slices = [dicoms.dataset(dicoms.slope(high=400 * number)) for number in range(1, count + 1)]
    for number, made in enumerate(slices, 1):
        made.StudyInstanceUID, made.SeriesInstanceUID = (
            slices[0].StudyInstanceUID,
            slices[0].SeriesInstanceUID,
        )
        made.PatientID, made.StudyID, made.InstanceNumber = slices[0].StudyInstanceUID[-16:], "1", number
    return slices


def read_job(cluster: Cluster, made: Dataset) -> dict[str, Any] | None:
    answer = cluster.http.get(f"/v1/jobs/{made.SOPInstanceUID}")
    return answer.json() if answer.is_success and answer.json()["ended_at"] else None


def submitted(cluster: Cluster) -> int:
    return len({file.name for file in cluster.blob_files() if file.name.endswith(".image")})


def stored(cluster: Cluster) -> int:
    """How many STOW requests the gateway has answered."""
    return cluster.log("gateway").read_text().count("/dicomweb/studies")


def test_a_study_that_becomes_stable_is_read_slice_by_slice(cluster: Cluster, pacs: Orthanc) -> None:
    slices = study(3)
    pacs.store(*(dicoms.written(made) for made in slices))
    wait_until(lambda: all(read_job(cluster, made) for made in slices), timeout_s=90, what="all are read")
    for job in (read_job(cluster, made) for made in slices):
        assert job is not None
        assert job["state"] == "completed"
        assert job["image"]["dicom"]["study_instance_uid"] == slices[0].StudyInstanceUID


def test_a_study_that_is_forwarded_again_makes_no_job(cluster: Cluster, pacs: Orthanc) -> None:
    (made,) = study(1)
    pacs.store(dicoms.written(made))
    wait_until(lambda: read_job(cluster, made), timeout_s=90, what="it is read")
    before, heard = submitted(cluster), stored(cluster)
    ours = dicoms.dataset(dicoms.slope(), SOPClassUID=dicoms.SECONDARY_CAPTURE)
    ours.StudyInstanceUID, ours.PatientID, ours.StudyID = made.StudyInstanceUID, made.PatientID, "1"
    pacs.store(dicoms.written(ours))
    (whole,) = [
        one for one in pacs.studies() if one["MainDicomTags"]["StudyInstanceUID"] == made.StudyInstanceUID
    ]
    order = {"Resources": [whole["ID"]], "Synchronous": True}
    pacs.http.post("/dicom-web/servers/mediscan/stow", json=order)
    assert stored(cluster) > heard, "nothing was forwarded, so nothing was shown"
    answer = cluster.http.get(f"/v1/jobs/{made.SOPInstanceUID}")
    assert answer.json()["state"] == "completed"
    assert cluster.http.get(f"/v1/jobs/{ours.SOPInstanceUID}").status_code == 404
    assert submitted(cluster) == before
