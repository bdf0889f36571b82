"""Disasters with an outcome of their own: an emptied ledger, a blob store that is full for long, a full broker."""

import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from embedded.layout import SERVICES
from tests.chaos.arena import Arena
from tests.chaos.faults import limit_files
from tests.support.cluster import Cluster
from tests.support.images import scan
from tests.support.waiting import wait_until


def test_jobs_lost_with_the_ledger_are_named() -> None:
    with Cluster() as cluster:
        finished = cluster.run(scan(64))
        wait_until(lambda: list(cluster.blobs.rglob(f"{finished['id']}.json")), what="the job is archived")
        cluster.signal("ml_worker", signal.SIGSTOP)
        lost = [cluster.submit(scan(64))["id"] for _ in range(5)]
        empty(cluster)
        cluster.kill("ml_worker")
        cluster.start("ml_worker")
        log = cluster.log("reaper")
        wait_until(lambda: "lost jobs: 5" in log.read_text(), timeout_s=40, what="the loss is reported")
        with cluster.ledger_server.client() as client:
            assert {ref.rpartition("/")[2] for ref in client.zrange("mediscan:dead", 0, -1)} == set(lost)
        assert cluster.job(finished["id"]) == finished
        cluster.wait_ready()
        assert cluster.run(scan(64))["state"] == "completed"
        assert log.read_text().count("the ledger was emptied or replaced") == 1


def submit(cluster: Cluster) -> httpx.Response:
    return cluster.http.post("/v1/jobs", files={"image": ("scan", scan(64))})


def empty(cluster: Cluster) -> None:
    """The ledger comes back without its data, as from a new disk."""
    cluster.ledger_server.stop(kill=True)
    shutil.rmtree(cluster.ledger_server.folder / "appendonlydir")
    cluster.ledger_server.start()


def test_a_store_that_is_full_for_long_makes_no_job_look_like_poison() -> None:
    with Arena(GEMINI_ENABLED="false") as arena:
        cluster = arena.cluster
        # The limit would also hold for the memory that a starting decoder shares, which a full disk does not touch.
        assert cluster.run(scan(64))["state"] == "completed"
        with arena.stopped("ml_worker"):
            jobs = [cluster.submit(scan(64))["id"] for _ in range(10)]
            pids = [pid for service in SERVICES for pid in arena.processes(service)]
            for pid in pids:
                limit_files(pid, 0)
        wait_until(lambda: arena.counters()["put_off:ml"] > 10 * 3, timeout_s=60, what="each was tried often")
        refused = submit(cluster)
        assert (refused.status_code, refused.json()["code"]) == (503, "blob_store_unavailable")
        for pid in pids:
            limit_files(pid, resource.RLIM_INFINITY)
        assert {cluster.finished(job, timeout_s=60)["state"] for job in jobs} == {"completed"}
        assert arena.counters()["dead_lettered"] == 0


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full_refuses_uploads_until_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "1m"), Cluster(BLOB_URL=f"file://{disk}/blobs", MIN_FREE_BLOB_BYTES="0") as cluster:
        filler = disk / "filler"
        filler.write_bytes(bytes(disk_free(disk)))
        refused = submit(cluster)
        assert refused.status_code == 503
        assert refused.json()["code"] == "blob_store_unavailable"
        filler.unlink()
        wait_until(lambda: submit(cluster).status_code == 202, what="an upload is taken again")
        assert cluster.run(scan(64))["state"] == "completed"


def test_a_disk_that_turns_read_only_refuses_uploads_fails_no_job_and_recovers(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with (
        small_disk(disk, "64m"),
        Cluster(BLOB_URL=f"file://{disk}/blobs", MIN_FREE_BLOB_BYTES="0") as cluster,
    ):
        cluster.signal("ml_worker", signal.SIGSTOP)
        waiting = [cluster.submit(scan(64))["id"] for _ in range(3)]
        remount(disk, "ro")
        try:
            cluster.signal("ml_worker", signal.SIGCONT)
            wait_until(
                lambda: cluster.counters().get("put_off:ml", 0) > 3, timeout_s=60, what="each is put off"
            )
            refused = submit(cluster)
            assert (refused.status_code, refused.json()["code"]) == (503, "blob_store_unavailable")
            assert int(refused.headers["retry-after"]) >= 1
        finally:
            remount(disk, "rw")
        assert {cluster.finished(job, timeout_s=60)["state"] for job in waiting} == {"completed"}
        wait_until(lambda: submit(cluster).status_code == 202, what="an upload is taken again")
        assert cluster.counters().get("dead_lettered", 0) == 0


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def disk_free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def test_a_clock_that_is_stepped_moves_the_ledger_and_nothing_is_lost() -> None:
    with Arena(GEMINI_ENABLED="false") as arena:
        if not arena.clock.can_step:
            pytest.skip("libfaketime is not installed (Debian: apt install libfaketime)")
        for step in (300, -300):
            before = [arena.cluster.submit(scan(64))["id"] for _ in range(5)]
            aim = ledger_ahead(arena) + step
            arena.clock.step(step)
            wait_until(partial(is_stepped, arena, aim), what="the clock is stepped")
            after = [arena.cluster.submit(scan(64))["id"] for _ in range(5)]
            states = {arena.cluster.finished(job, timeout_s=60)["state"] for job in before + after}
            assert states == {"completed"}


def is_stepped(arena: Arena, aim: float) -> bool:
    return abs(ledger_ahead(arena) - aim) < 30


def ledger_ahead(arena: Arena) -> float:
    with arena.cluster.ledger_server.client() as client:
        return float(client.time()[0]) - time.time()


def test_a_broker_that_comes_back_full_ends_no_worker() -> None:
    workers = ("ml_worker", "fusion")
    with Cluster(GEMINI_ENABLED="false") as cluster:
        assert cluster.run(scan(64))["state"] == "completed"
        cluster.broker_server.stop(kill=True)
        # One that finds it back before it missed it would go on without connecting anew.
        for worker in workers:
            missed = partial(has_said, cluster, worker, "Cannot connect")
            wait_until(missed, what=f"{worker} misses the broker")
        cluster.broker_server.start("--maxmemory", "1", "--maxmemory-policy", "noeviction")
        for worker in workers:
            wait_until(partial(has_said, cluster, worker, "OutOfMemory"), what=f"{worker} is refused")
        waiting = cluster.submit(scan(64))["id"]
        with cluster.broker_server.client() as broker:
            broker.config_set("maxmemory", 0)
        assert cluster.finished(waiting, timeout_s=60)["state"] == "completed"
        assert [worker for worker in workers if not cluster.is_running(worker)] == []


def has_said(cluster: Cluster, worker: str, words: str) -> bool:
    return words in cluster.log(worker).read_text()
