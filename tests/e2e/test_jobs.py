"""Jobs through the running stack, while its parts are scaled, stopped and killed."""

from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

import httpx
import pytest

from tests.e2e.stack import KEY, Stack, docker, inspect
from tests.support.images import scan, slow_scan
from tests.support.waiting import wait_until

_JOBS = 30
_KILLED = 137


def _submit(stack: Stack, images: list[bytes]) -> list[str]:
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(stack.submit, images))


def _assert_completed_once(stack: Stack, job_ids: list[str]) -> None:
    """All completed, each under an id of its own, and none of them changes any more."""
    ended = stack.finished(job_ids)
    assert [job["state"] for job in ended] == ["completed"] * len(job_ids)
    assert len({job["id"] for job in ended}) == len(job_ids)
    assert [stack.job(job_id) for job_id in job_ids] == ended


def _all_busy(stack: Stack, job_ids: list[str], workers: int) -> None:
    """Return once every ML worker holds a job."""
    wait_until(lambda: stack.reading(job_ids) >= workers, timeout_s=60, what="every ML worker is busy")


@pytest.fixture(autouse=True)
def _show_logs_of_a_failure(stack: Stack, request: pytest.FixtureRequest) -> Iterator[None]:
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed > failed_before:
        print(stack.logs())  # noqa: T201 - pytest shows it with the failure


def test_one_job_with_both_readings(stack: Stack) -> None:
    job_id = stack.submit(scan())
    (job,) = stack.finished([job_id])
    assert job["state"] == "completed"
    assert job["result"]["fallback"] is None
    assert [voice["reader"] for voice in job["result"]["provenance"]] == ["ml", "gemini"]
    heatmap = stack.http.get(f"/v1/jobs/{job_id}/heatmap.png")
    assert heatmap.content.startswith(b"\x89PNG")


def test_nobody_gets_in_without_a_key(stack: Stack) -> None:
    base = str(stack.http.base_url)
    assert httpx.get(f"{base}/v1/models").status_code == 401
    assert httpx.post(f"{base}/v1/jobs", files={"image": ("scan", scan())}).status_code == 401
    assert set(httpx.get(f"{base}/readyz").json()) == {"status"}


def test_three_ml_workers_share_the_jobs(stack: Stack) -> None:
    stack.up(ml_workers=3)
    assert len(stack.containers("ml_worker")) == 3
    _assert_completed_once(stack, _submit(stack, [scan(shade=100 + n) for n in range(_JOBS)]))


def test_a_killed_ml_worker_costs_no_job(stack: Stack) -> None:
    stack.up(ml_workers=3)
    before = stack.counters().get("rescued:ml", 0)
    job_ids = _submit(stack, [slow_scan()] * 10 + [scan()] * (_JOBS - 10))
    _all_busy(stack, job_ids, workers=3)
    docker("kill", stack.containers("ml_worker")[0])
    _assert_completed_once(stack, job_ids)
    assert stack.counters().get("rescued:ml", 0) > before, "the kill hit no running job"


def test_a_stopped_ml_worker_ends_what_it_holds(stack: Stack) -> None:
    stack.up(ml_workers=3)
    before = stack.counters().get("rescued:ml", 0)
    job_ids = _submit(stack, [slow_scan()] * 6)
    _all_busy(stack, job_ids, workers=3)
    stack.compose("stop", "ml_worker")
    exits = [inspect(container)["State"]["ExitCode"] for container in stack.containers("ml_worker")]
    assert _KILLED not in exits, "a worker did not stop in time"
    assert stack.reading(job_ids) == 0, "a stopped worker left a job to its lease"
    stack.up(ml_workers=3)
    _assert_completed_once(stack, job_ids)
    assert stack.counters().get("rescued:ml", 0) == before


def test_a_ledger_killed_under_load_loses_nothing(stack: Stack) -> None:
    ledger = stack.container("ledger")
    accepted: list[str] = []

    def submit(image: bytes) -> None:
        accepted.append(stack.submit(image))

    images = [scan(shade=60 + n) for n in range(3 * _JOBS)]
    with ThreadPoolExecutor(4) as threads:
        submitting = [threads.submit(submit, image) for image in images]
        wait_until(lambda: len(accepted) >= _JOBS, timeout_s=60, what="a part is accepted")
        docker("kill", ledger)
        assert len(accepted) < len(images), "the kill came after the load"
        docker("start", ledger)
        wait(submitting, return_when=FIRST_EXCEPTION)
    assert len(accepted) == len(images)
    _assert_completed_once(stack, accepted)


def test_nothing_died_that_no_test_killed(stack: Stack) -> None:
    """A worker out of memory is started again by Docker, and its jobs are rescued: nobody else would notice."""
    for service in ("gateway", "gemini_worker", "fusion", "reaper", "broker"):
        found = inspect(stack.container(service))
        assert not found["State"]["OOMKilled"], service
        assert found["RestartCount"] == 0, service


def test_nothing_logged_the_key(stack: Stack) -> None:
    assert KEY not in stack.compose("logs", "--no-color")
