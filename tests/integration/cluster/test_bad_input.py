"""Hostile images through the whole cluster: every job ends with a clear answer, and no process pays for it."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fake_gemini import FakeGemini
from tests.support import bombs, dicom_bombs, memory
from tests.support.cluster import Cluster
from tests.support.dicoms import EXPLICIT, JPEG_BASELINE
from tests.support.images import broken_inside, scan
from tests.support.waiting import wait_until

#: Most that a bomb may add to what a process holds when idle, in bytes.
_WORKER_BOUND, _GATEWAY_BOUND = 300_000_000, 100_000_000
#: Time limits as in real life: these images are slow on purpose, and machines are shared.
_PATIENT = {"ML_TIME_LIMIT_S": "90", "ML_LEASE_S": "100", "GEMINI_TIMEOUT_S": "50", "GEMINI_GRACE_S": "60"}
_WORKERS = ("ml_worker", "gemini_worker")

#: What the gateway takes, and the code of the job's error; None: it is an image after all.
_BOMBS: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "a header that lies": (lambda: bombs.png_that_lies(1000, 20_000), None),
    "largest with alpha": (lambda: bombs.full_png(30), None),
    "large progressive CMYK": (lambda: bombs.progressive(20, "CMYK"), None),
    "palette out of range": (bombs.palette_out_of_range, None),
    "processor time, in chunks": (lambda: bombs.png_with_tail(1_400_000), "image_too_slow"),
    "processor time, in scans": (lambda: bombs.jpeg_of_scans(5000), "image_too_many_scans"),
    "text behind the pixels": (lambda: bombs.png_with_late_text(2_000_000), "image_unreadable"),
    "damaged pixels": (broken_inside, "image_unreadable"),
    "a second frame header": (bombs.jpeg_with_late_frame, "image_unreadable"),
    "two gigabytes in deflated DICOM": (
        lambda: dicom_bombs.deflated(2000 << 20),
        "image_too_large_for_memory",
    ),
    "DICOM sides that lie": (lambda: dicom_bombs.sides_that_lie(EXPLICIT, 5000), "image_unreadable"),
    "DICOM frames that lie": (lambda: dicom_bombs.frames_that_lie(100_000), "image_unreadable"),
    "largest in DICOM": (lambda: dicom_bombs.largest(29), None),
    "scans in DICOM": (
        lambda: dicom_bombs.encapsulated(bombs.jpeg_of_scans(5000), JPEG_BASELINE),
        "image_too_slow",
    ),
    "a second frame header in DICOM": (
        lambda: dicom_bombs.encapsulated(bombs.jpeg_with_late_frame(), JPEG_BASELINE),
        "image_unreadable",
    ),
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with FakeGemini() as gemini:
        settings = {
            "GEMINI_ENABLED": "true",
            "GEMINI_API_KEY": "test-key",
            "GEMINI_BASE_URL": gemini.base_url,
            "DECODE_CPU_S": "2",
            **_PATIENT,
        }
        with Cluster(**settings) as running:
            running.run(scan())  # every process has done everything once: what it holds now is its idle
            yield running


@pytest.mark.parametrize("name", _BOMBS)
def test_a_bomb_ends_its_job_within_the_bounds_and_nothing_else(cluster: Cluster, name: str) -> None:
    make, code = _BOMBS[name]
    file = make()
    before = {pid: memory.resident(pid) for pid in everyone(cluster)}
    for pid in before:
        memory.forget_peak(pid)
    job = cluster.finished(cluster.submit(file)["id"], timeout_s=100)
    gateway = processes(cluster, "gateway")
    for pid in set(before) & everyone(cluster):
        assert memory.peak(pid) - before[pid] <= (_GATEWAY_BOUND if pid in gateway else _WORKER_BOUND)
    assert own(cluster) <= set(before), "a worker or its child was lost"
    assert_ended(job, code)
    assert cluster.run(scan())["state"] == "completed"


def assert_ended(job: dict[str, Any], code: str | None) -> None:
    if code is None:
        assert job["state"] == "completed"
    else:
        assert (job["state"], job["error"]["code"]) == ("failed", code)
        assert job["readings"]["ml"]["reason"] == "image_unreadable"


def test_gemini_says_that_it_cannot_read_what_it_cannot_read(cluster: Cluster) -> None:
    for child in cluster.children("ml_worker"):
        os.kill(child, signal.SIGSTOP)
    try:
        job_id = cluster.submit(broken_inside())["id"]
        reading = wait_until(
            lambda: (found := cluster.job(job_id)["readings"]["gemini"])["state"] == "unavailable" and found,
            timeout_s=30,
        )
    finally:
        for child in cluster.children("ml_worker"):
            os.kill(child, signal.SIGCONT)
    assert reading["reason"] == "image_unreadable"
    assert cluster.finished(job_id)["error"]["code"] == "image_unreadable"


def test_a_killed_decoding_process_costs_no_job(cluster: Cluster) -> None:
    for pid in everyone(cluster) - own(cluster):
        os.kill(pid, signal.SIGKILL)
    job = cluster.run(scan())
    assert job["state"] == "completed"
    assert job["readings"]["gemini"]["state"] == "done"


def test_a_poison_image_is_given_up_after_three_deliveries_while_others_are_read() -> None:
    with Cluster() as cluster:
        poison = cluster.submit(bombs.full_png(30))["id"]
        with ThreadPoolExecutor(1) as pool:
            others = pool.submit(lambda: [cluster.run(scan())["state"] for _ in range(12)])
            killed = 0
            while not cluster.job(poison)["ended_at"]:
                killed += kill_if_claimed(cluster, poison)
            assert set(others.result(60)) == {"completed"}
        ended = cluster.job(poison)
        assert (ended["state"], ended["error"]["code"]) == ("failed", "ml_gave_up")
        assert killed == 3
        with cluster.ledger_server.client() as client:
            assert client.zcard("mediscan:dead") == 1
        assert cluster.run(scan())["state"] == "completed"


def kill_if_claimed(cluster: Cluster, job_id: str) -> bool:
    if cluster.job(job_id)["readings"]["ml"]["state"] != "claimed":
        return False
    for child in cluster.children("ml_worker"):
        os.kill(child, signal.SIGKILL)
    wait_until(lambda: cluster.job(job_id)["readings"]["ml"]["state"] != "claimed", timeout_s=20)
    return True


def processes(cluster: Cluster, name: str) -> list[int]:
    return memory.family(cluster.pid(name))


def everyone(cluster: Cluster) -> set[int]:
    """Gateway and both workers, with the processes that decode for them."""
    return {pid for name in ("gateway", *_WORKERS) for pid in processes(cluster, name)}


def own(cluster: Cluster) -> set[int]:
    """Gateway, workers and the ML worker's children, which no image may cost."""
    mains = {cluster.pid(name) for name in ("gateway", *_WORKERS)}
    return mains | set(cluster.children("ml_worker"))
