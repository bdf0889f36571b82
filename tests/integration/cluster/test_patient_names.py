"""A patient's name, planted wherever a submission has room for one, is in nothing but what it was planted in.

Looked for in every byte that Gemini gets, every log line and metric, every command the broker sees, every picture and
answer.
"""

import io
import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.fake_gemini import Behaviour, FakeGemini, Kind
from tests.support import marked
from tests.support.cluster import Cluster
from tests.support.marked import NAME, gives_away
from tests.support.metrics import scrape_all
from tests.support.valkey import Server
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as fake:
        yield fake


@pytest.fixture(scope="module")
def cluster(gemini: FakeGemini) -> Iterator[Cluster]:
    settings = {
        "GEMINI_ENABLED": "true",
        "GEMINI_API_KEY": "test-key",
        "GEMINI_BASE_URL": gemini.base_url,
        "GEMINI_GRACE_S": "10",
        "GEMINI_TIMEOUT_S": "8",
        "LOG_LEVEL": "DEBUG",
        "METRICS_PORT": "0",
    }
    with Cluster(**settings) as running:
        wait_until(lambda: running.http.get("/readyz").json()["workers"]["gemini"], timeout_s=60)
        yield running


@contextmanager
def overheard(server: Server) -> Iterator[list[str]]:
    """Every command that the server carries out while the block runs, as text."""
    heard: list[str] = []
    last = "nothing more to hear"
    with server.client() as client, client.monitor() as monitor:

        def listen() -> None:
            while not (heard and last in heard[-1]):
                heard.append(str(monitor.next_command()["command"]))

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        yield heard
        with server.client() as stopper:
            stopper.echo(last)
        listener.join(10)


def lines_that_give_away(cluster: Cluster) -> list[str]:
    return [line for line in cluster.logs().splitlines() if gives_away(line.encode())]


def submit(cluster: Cluster, image: bytes) -> httpx.Response:
    return cluster.http.post(
        "/v1/jobs",
        files={"image": (f"{NAME}.png", image)},
        data={"metadata": json.dumps({"patient": NAME, NAME.lower(): 1})},
    )


@pytest.mark.parametrize(
    "image",
    [marked.marked_png(), marked.marked_jpeg(), marked.marked_dicom()],
    ids=["png", "jpeg", "dicom"],
)
@pytest.mark.parametrize("kind", [Kind.ANSWER, Kind.INTERNAL_ERROR])
def test_it_goes_nowhere(cluster: Cluster, gemini: FakeGemini, image: bytes, kind: Kind) -> None:
    assert gives_away(image)
    gemini.behave(Behaviour(kind))
    before = len(gemini.requests)
    with overheard(cluster.broker_server) as said_to_broker:
        job = cluster.finished(submit(cluster, image).json()["id"], timeout_s=60)
    assert job["state"] == "completed"
    assert len(gemini.requests) > before, "nothing was sent, so nothing was shown"
    _check_what_gemini_got(gemini)
    assert any(job["id"] in command for command in said_to_broker), "the broker was not overheard"
    assert not gives_away("\n".join(said_to_broker).encode())
    _check_answers(cluster, job)
    _check_stores(cluster, job["id"])
    assert lines_that_give_away(cluster) == []
    _check_metrics(cluster)


@pytest.mark.parametrize("image", [marked.marked_and_broken(), marked.marked_dicom_that_is_broken()])
def test_nor_when_the_image_cannot_be_read(cluster: Cluster, image: bytes) -> None:
    job = cluster.finished(submit(cluster, image).json()["id"], timeout_s=60)
    assert job["state"] == "failed"
    assert not gives_away(json.dumps(job["error"]).encode())
    assert lines_that_give_away(cluster) == []


def test_nor_when_the_submission_is_refused(cluster: Cluster) -> None:
    refused = [
        submit(cluster, NAME.encode() * 10),
        cluster.http.post("/v1/jobs", files={"image": (NAME, marked.marked_png())}, data={NAME: NAME}),
        cluster.http.post("/v1/jobs", files={NAME: (NAME, marked.marked_png())}),
        cluster.http.post("/v1/jobs", files={"image": marked.marked_png()}, data={"metadata": NAME}),
        cluster.http.post("/v1/jobs", files={"image": marked.marked_png()}, data={"priority": NAME}),
        cluster.http.post("/v1/jobs", files={"image": marked.marked_png()}, data={"prior_job_id": NAME}),
    ]
    for answer in refused:
        assert 400 <= answer.status_code < 500
        assert not gives_away(answer.content)
    assert lines_that_give_away(cluster) == []


def _check_metrics(cluster: Cluster) -> None:
    for name, page in scrape_all(cluster).items():
        assert "mediscan_" in page, name
        assert not gives_away(page.encode()), name


def _check_what_gemini_got(gemini: FakeGemini) -> None:
    assert not gives_away(gemini.received_bytes())
    for picture in gemini.received_images():
        with Image.open(io.BytesIO(picture)) as opened:
            opened.load()
            assert not opened.getexif()
            assert not {
                key
                for key in opened.info
                if str(key).lower() in {"comment", "xmp", "exif", "author", "title"}
            }
        assert not gives_away(_inflated(picture))


def _inflated(picture: bytes) -> bytes:
    """All that is compressed in there, as zTXt and iTXt may be."""
    found = b""
    for start in (
        at
        for at in range(len(picture) - 1)
        if picture[at] == 0x78 and picture[at + 1] in {1, 0x5E, 0x9C, 0xDA}
    ):
        try:
            found += zlib.decompressobj().decompress(picture[start:], 1 << 16)
        except zlib.error:
            continue
    return found


def _check_answers(cluster: Cluster, job: dict[str, Any]) -> None:
    assert job["metadata"]["patient"] == NAME, "a caller gets back what it gave"
    assert not gives_away(json.dumps({**job, "metadata": {}}).encode())
    for path in (job["links"]["heatmap"], "/readyz", "/v1/models", "/v1/cluster", "/healthz"):
        answer = cluster.http.get(path)
        assert answer.is_success, path
        assert not gives_away(answer.content + repr(answer.headers).encode())


def _check_stores(cluster: Cluster, job_id: str) -> None:
    """What was sent in is stored as it came, and so is what a DICOM header says; results in DICOM are the patient's."""
    for file in cluster.blob_files():
        may_hold = file.name.endswith((".image", ".json", ".header", ".dcm"))
        assert may_hold or not gives_away(file.read_bytes()), file.name
        assert not gives_away(str(file).encode())
    with cluster.ledger_server.client() as client:
        holding = [key for key in client.scan_iter() if gives_away(_dump(client, key))]
    assert all(key.startswith("mediscan:job:") for key in holding)
    assert any(job_id in key for key in holding), "the metadata is in the job's own record"


def _dump(client: Any, key: str) -> bytes:
    readers = {
        "hash": client.hgetall,
        "zset": lambda k: client.zrange(k, 0, -1),
        "string": client.get,
        "list": lambda k: client.lrange(k, 0, -1),
        "none": lambda _: "gone meanwhile",
    }
    return f"{key} {readers[client.type(key)](key)}".encode()
