"""The whole cluster without a Gemini key: the ordinary path, and everything that can happen to the ML reading."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.images import broken_inside, scan, slow_scan
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


def test_without_a_key_the_result_is_ml_only(cluster: Cluster) -> None:
    submitted = cluster.submit(scan(), metadata='{"study": "A-17", "slice": 4}')
    assert submitted["readings"]["gemini"] == {"state": "skipped", "reason": "not_configured"}
    job = cluster.finished(submitted["id"])
    assert job["state"] == "completed"
    assert job["result"]["fallback"]["reason"] == "not_configured"
    assert job["result"]["agreement"] == "single_reader"
    assert job["readings"]["ml"]["label"] in {"Negative", "Positive"}
    assert job["metadata"] == {"study": "A-17", "slice": 4}
    assert cluster.counters().get("late:gemini", 0) == 0


def test_the_heatmap_is_a_png(cluster: Cluster) -> None:
    job = cluster.run(scan())
    answer = cluster.http.get(job["links"]["heatmap"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_a_result_outlives_redis(cluster: Cluster) -> None:
    job = cluster.run(scan())
    with cluster.ledger_server.client() as client:
        kept_s = wait_until(
            lambda: max(0, client.ttl(f"mediscan:job:default:{job['id']}")), what="the job is archived"
        )
        assert 0 < kept_s <= 3600
        client.delete(f"mediscan:job:default:{job['id']}")
    assert cluster.job(job["id"]) == job


def test_a_cancelled_job_stays_cancelled(cluster: Cluster) -> None:
    cluster.signal("ml_worker", signal.SIGSTOP)
    try:
        job = cluster.submit(scan())
        cancelled = cluster.http.post(job["links"]["cancel"])
        assert cancelled.json()["state"] == "cancelled"
    finally:
        cluster.signal("ml_worker", signal.SIGCONT)
    after = cluster.run(scan())  # whatever was in the queue before it has been seen by now
    assert after["state"] == "completed"
    assert cluster.job(job["id"])["state"] == "cancelled"


def test_an_image_that_cannot_be_decoded_fails_at_once(cluster: Cluster) -> None:
    job = cluster.run(broken_inside())
    assert job["state"] == "failed"
    assert job["error"]["code"] == "image_unreadable"
    assert job["result"] is None
    assert job["id"] not in dead_letters(cluster)


def test_a_missing_stored_image_is_a_clear_failure(cluster: Cluster) -> None:
    job = submit_and_damage(cluster, lambda blob: blob.unlink())
    assert cluster.finished(job["id"])["error"]["code"] == "stored_image_damaged"


def test_an_altered_stored_image_is_a_clear_failure(cluster: Cluster) -> None:
    job = submit_and_damage(cluster, lambda blob: blob.write_bytes(scan(shade=10)))
    assert cluster.finished(job["id"])["error"]["code"] == "stored_image_damaged"


def test_a_reading_that_keeps_failing_is_dead_lettered(cluster: Cluster) -> None:
    def make_unreadable(blob: Path) -> None:
        blob.unlink()
        blob.symlink_to(blob)  # a loop: the blob store reports an error, which a retry might cure

    job = submit_and_damage(cluster, make_unreadable)
    ended = cluster.finished(job["id"])
    assert ended["state"] == "failed"
    assert ended["error"]["code"] == "ml_gave_up"
    assert job["id"] in dead_letters(cluster)


def test_a_child_killed_mid_task_costs_no_job(cluster: Cluster) -> None:
    job = cluster.submit(slow_scan())
    kill_child_while_claimed(cluster, job["id"])
    ended = cluster.finished(job["id"])
    assert ended["state"] == "completed"
    assert ended["result"]["provenance"][0]["reader"] == "ml"


def test_an_image_that_kills_every_child_is_dead_lettered(cluster: Cluster) -> None:
    job = cluster.submit(slow_scan())
    for _ in range(3):
        kill_child_while_claimed(cluster, job["id"])
    ended = cluster.finished(job["id"])
    assert ended["error"]["code"] == "ml_gave_up"
    assert job["id"] in dead_letters(cluster)
    assert cluster.run(scan())["state"] == "completed"


def test_a_worker_killed_whole_is_replaced_by_another(cluster: Cluster) -> None:
    job = cluster.submit(slow_scan())
    wait_until(lambda: cluster.job(job["id"])["readings"]["ml"]["state"] == "claimed")
    cluster.kill("ml_worker")
    cluster.start("ml_worker")
    assert cluster.finished(job["id"])["state"] == "completed"
    assert cluster.counters()["rescued:ml"] >= 1


def test_ledger_and_broker_restarted_under_200_jobs(cluster: Cluster) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda _: cluster.submit(scan()), range(200)))
    cluster.ledger_server.restart(kill=True)
    cluster.broker_server.restart(kill=True)
    results = {job["id"]: cluster.finished(job["id"], timeout_s=90) for job in jobs}
    assert {job["state"] for job in results.values()} == {"completed"}
    # Once and for all: nothing changes after the end.
    assert all(cluster.job(job_id) == job for job_id, job in results.items())


def test_metadata_is_in_no_log(cluster: Cluster) -> None:
    cluster.run(scan(), metadata='{"who": "Zebediah Quux"}')
    assert "Zebediah" not in cluster.logs()


def submit_and_damage(cluster: Cluster, damage: Any) -> dict[str, Any]:
    """Submit while the ML worker is stopped, and change the stored image before it looks."""
    stopped = [*cluster.children("ml_worker")]
    for child in stopped:
        os.kill(child, signal.SIGSTOP)
    job = cluster.submit(scan())
    damage(next(cluster.blobs.rglob(f"{job['id']}.image")))
    for child in stopped:
        os.kill(child, signal.SIGCONT)
    return job


def kill_child_while_claimed(cluster: Cluster, job_id: str) -> None:
    wait_until(lambda: cluster.job(job_id)["readings"]["ml"]["state"] == "claimed", timeout_s=20)
    for child in cluster.children("ml_worker"):
        os.kill(child, signal.SIGKILL)
    wait_until(lambda: cluster.job(job_id)["readings"]["ml"]["state"] != "claimed", timeout_s=20)


def dead_letters(cluster: Cluster) -> list[str]:
    with cluster.ledger_server.client() as client:
        return [ref.rpartition("/")[2] for ref in client.zrange("mediscan:dead", 0, -1)]
