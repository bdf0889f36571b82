"""The whole cluster with its blobs in S3: jobs, pictures, retention, erasure, keys, and the audit trail."""

import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

from shared.blob_store import BlobStore
from shared.names import AUDIT_FOLDER, DEFAULT_TENANT, KEYS_FOLDER, Blob, JobRef, blob_path
from tests.support.cluster import Cluster
from tests.support.images import encoded, scan
from tests.support.launch import ROOT
from tests.support.waiting import wait_until

_URL = "s3://mediscan/house"
#: A job of the year 2020: long past every retention.
_OLD = JobRef(DEFAULT_TENANT, f"job_{1_577_836_800_000:012x}{'0' * 20}")


@pytest.fixture(scope="module")
def _s3() -> Iterator[None]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/mediscan").raise_for_status()
    usual = {"REGION": "us-east-1", "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ENDPOINT_URL": f"http://{host}:{port}", "ALLOW_HTTP": "true", **usual}.items():
            patch.setenv(f"AWS_{name}", value)
        yield
    server.stop()


@pytest.fixture(scope="module")
def cluster(_s3: None) -> Iterator[Cluster]:
    with Cluster(BLOB_URL=_URL, SWEEP_INTERVAL_S="1") as running:
        yield running


@pytest.fixture
def blobs(cluster: Cluster) -> BlobStore:
    del cluster
    return BlobStore.open(_URL)


def test_a_job_leaves_its_image_its_preview_and_its_result(cluster: Cluster, blobs: BlobStore) -> None:
    job = cluster.run(scan())
    ref = JobRef(DEFAULT_TENANT, job["id"])
    assert job["state"] == "completed"
    wait_until(lambda: blobs.exists(blob_path(ref, Blob.RECORD)), timeout_s=20)
    assert blobs.get(blob_path(ref, Blob.IMAGE)) == scan()
    picture = cluster.http.get(f"/v1/jobs/{ref.job_id}/heatmap.png")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    # The result outlives the ledger's copy.
    with cluster.ledger_server.client() as client:
        client.delete(*client.keys("mediscan:job:*"))
    assert cluster.job(ref.job_id)["result"] == job["result"]


def test_an_image_of_several_parts_arrives_whole(cluster: Cluster, blobs: BlobStore) -> None:
    noise = encoded(Image.frombytes("RGB", (1400, 1400), os.urandom(3 * 1400 * 1400)))
    assert len(noise) > 5 << 20  # S3's smallest part
    ref = JobRef(DEFAULT_TENANT, cluster.run(noise)["id"])
    assert blobs.get(blob_path(ref, Blob.IMAGE)) == noise


def test_a_callers_own_id_makes_one_job(cluster: Cluster) -> None:
    put = [cluster.http.put("/v1/jobs/mine-1", files={"image": ("scan", scan())}) for _ in range(2)]
    assert len({answer.json()["id"] for answer in put}) == 1
    cluster.finished(put[0].json()["id"])


def test_what_was_erased_is_gone(cluster: Cluster, blobs: BlobStore) -> None:
    ref = JobRef(DEFAULT_TENANT, cluster.run(scan())["id"])
    wait_until(lambda: blobs.exists(blob_path(ref, Blob.RECORD)), timeout_s=20)
    assert cluster.http.delete(f"/v1/jobs/{ref.job_id}").is_success
    folder = blob_path(ref, Blob.IMAGE).rpartition("/")[0]
    assert [path for path in blobs.paths(folder) if ref.job_id in path] == []
    assert cluster.http.get(f"/v1/jobs/{ref.job_id}").status_code == 404


def test_what_is_past_the_retention_goes(blobs: BlobStore) -> None:
    own = [blob_path(_OLD, blob) for blob in (Blob.IMAGE, Blob.PREVIEW, Blob.RECORD)]
    for path in own:
        blobs.put(path, b"old")
    wait_until(lambda: not any(map(blobs.exists, own)), timeout_s=60, what="the sweep takes the old ones")


def test_keys_and_the_audit_trail_are_kept_there(cluster: Cluster, blobs: BlobStore) -> None:
    made = run(cluster, "keys", "create", "--tenant", "ward-7", "--label", "CT", "--expires", "90d")
    assert made.returncode == 0, made.stderr
    assert len(blobs.paths(KEYS_FOLDER)) == 1
    wait_until(lambda: blobs.paths(AUDIT_FOLDER), timeout_s=30, what="a segment is sealed")
    verified = run(cluster, "audit", "verify")
    assert verified.returncode == 0, verified.stderr


def run(cluster: Cluster, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "mediscan", *words],
        env={**os.environ, **cluster.environment()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
