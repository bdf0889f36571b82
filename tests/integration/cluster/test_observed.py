"""What operators see of a running cluster: the story of each job, once, and the metrics of every process."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.images import broken_inside, scan
from tests.support.metrics import scrape, scrape_all, value
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(METRICS_PORT="0", ML_CONCURRENCY="2") as running:
        yield running


def lines(cluster: Cluster) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in cluster.logs().splitlines() if line.startswith("{")]
    assert found
    return found


def stories(cluster: Cluster, job_id: str) -> list[dict[str, Any]]:
    """The lines that tell of the job's end, at least one."""

    def found() -> list[dict[str, Any]]:
        return [line for line in lines(cluster) if line.get("job") == job_id and "state" in line]

    wait_until(found, timeout_s=30, what="the story is told")
    return found()


def test_a_completed_jobs_story_is_one_line(cluster: Cluster) -> None:
    job = cluster.run(scan(), priority="stat")
    [line] = stories(cluster, job["id"])
    assert line["message"] == "job completed"
    assert (line["state"], line["priority"], line["tenant"]) == ("completed", "stat", "default")
    assert line["service"] == "reaper"  # a job with one reader is ended where it is read
    assert line["fallback"] == "not_configured"
    assert line["label"] == (job["result"]["label"] or "undecided")
    assert line["model"].startswith("brain-mri-mobilenetv2/")
    assert line["ml_attempts"] == 1
    assert not {"gemini_attempts", "fusion_attempts"} & set(line)
    assert line["size_bytes"] == len(scan())
    parts = ("ml_queued_ms", "ml_ms")
    assert line["total_ms"] == pytest.approx(job["timings"]["total_ms"], abs=0.01)
    assert sum(line[part] for part in parts) == pytest.approx(line["total_ms"], abs=1)
    assert line["decode_ms"] > 0
    assert line["infer_ms"] > 0


def test_a_failed_and_a_cancelled_job_have_theirs(cluster: Cluster) -> None:
    failed = cluster.finished(cluster.submit(broken_inside())["id"])
    [line] = stories(cluster, failed["id"])
    assert (line["state"], line["code"], line["level"]) == ("failed", failed["error"]["code"], "warning")
    cluster.kill("ml_worker")
    cancelled = cluster.submit(scan())["id"]
    assert cluster.http.post(f"/v1/jobs/{cancelled}/cancel").is_success
    [line] = stories(cluster, cancelled)
    assert (line["state"], line["service"]) == ("cancelled", "reaper")
    assert "ml_ms" not in line
    cluster.start("ml_worker")


def test_every_line_of_a_request_carries_its_id(cluster: Cluster) -> None:
    answer = cluster.http.get("/healthz", headers={"X-Request-ID": "mine"})
    ours = answer.headers["x-request-id"]

    def routes() -> list[Any]:
        return [line["route"] for line in lines(cluster) if line.get("request") == ours]

    wait_until(routes, timeout_s=30, what="the request has its line")
    assert routes() == ["/healthz"]
    assert not [line for line in lines(cluster) if line.get("request") == "mine"]


def test_the_line_of_every_request_for_a_job_names_it(cluster: Cluster) -> None:
    paths = cluster.http.get("/openapi.json").json()["paths"]
    of_a_job = {
        path for path, found in paths.items() if path.startswith("/v1/jobs/{job_id}") and "get" in found
    }
    job = cluster.run(scan())
    for path in of_a_job:
        cluster.http.get(path.format(job_id=job["id"], result="sr"))
    assert len(of_a_job) >= 5

    def named() -> bool:
        return of_a_job <= {line.get("route") for line in lines(cluster) if line.get("job") == job["id"]}

    wait_until(named, timeout_s=30, what="each has its line")


def test_metrics_add_up_over_children_and_processes(cluster: Cluster) -> None:
    jobs = [cluster.submit(scan())["id"] for _ in range(6)]
    for job in jobs:
        cluster.finished(job)
    told = wait_until(lambda: all(stories(cluster, job) for job in jobs), timeout_s=60)
    assert told
    completed = len([line for line in lines(cluster) if line.get("state") == "completed"])
    pages = scrape_all(cluster)

    def ended() -> bool:
        fusion, reaper = scrape(cluster, "fusion"), scrape(cluster, "reaper")
        counted = [value(page, "mediscan_job_seconds_count", state="completed") for page in (fusion, reaper)]
        return (
            sum(counted) == completed
            and value(reaper, "mediscan_jobs_ended_total", state="completed") == completed
        )

    wait_until(ended, timeout_s=30, what="every completed job is counted once")
    assert value(pages["ml_worker"], "mediscan_work_seconds_count", stage="ml", outcome="done") >= len(jobs)
    assert value(pages["gateway"], "mediscan_http_requests_total", route="/v1/jobs", status="202") >= len(
        jobs
    )
    assert value(pages["reaper"], "mediscan_worker_slots", stage="ml") >= 2
    for page in pages.values():
        assert value(page, "process_cpu_seconds_total") > 0


def test_the_house_is_told_by_the_reaper_alone(cluster: Cluster) -> None:
    pages = scrape_all(cluster)
    telling = {name for name, page in pages.items() if "mediscan_queue_waiting{" in page}
    assert telling == {"reaper"}
    assert value(pages["reaper"], "mediscan_ledger_up") == 1
    assert value(pages["reaper"], "mediscan_model_info", default="true") == 1
    assert value(pages["reaper"], "mediscan_gemini_circuit") == 1
    assert value(pages["reaper"], "mediscan_fallbacks_total", reason="not_configured") > 0
