"""Erasing a job: nothing of it is left, whatever its state, and whoever still held it brings nothing back."""

import threading
from collections.abc import Callable

import pytest

from services.fusion.archive import archive
from services.fusion.reaper import Reaper
from services.fusion.settings import FusionSettings
from shared.job_state import JobState
from shared.ledger import Claim, Settled
from shared.names import DEFAULT_TENANT, Blob, JobRef, Key, Stage, blob_path
from shared.queue import make_celery
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.integration.gateway.test_audited import actions, events
from tests.integration.gateway.test_follow import assert_problem, complete, forget, settle_ml
from tests.integration.gateway.test_repeats import end, lose_ledger, post, put, ref_of
from tests.support.samples import fused_result, ml_reading, new_token
from tests.unit.gateway import images


def erase(house: House, ref: JobRef) -> None:
    answer = house.http.delete(f"/v1/jobs/{ref.job_id}")
    assert (answer.status_code, answer.content) == (204, b"")


def assert_gone(house: House, ref: JobRef) -> None:
    """As if it had never been, whatever is asked."""
    for method, suffix in (
        ("GET", ""),
        ("GET", "/heatmap.png"),
        ("GET", "/preview.jpg"),
        ("GET", "/report.pdf"),
        ("POST", "/cancel"),
        ("DELETE", ""),
        ("POST", "/retry"),
    ):
        answer = house.http.request(method, f"/v1/jobs/{ref.job_id}{suffix}")
        assert_problem(answer, 404, "unknown_job")


def traces(house: House) -> list[str]:
    """Every key that a job leaves, and every object."""
    with house.ledger_server.client() as client:
        keys = [str(key) for part in ("job", "alias") for key in client.scan_iter(f"mediscan:{part}:*")]
        keys += [key for key in (Key.LIVE, Key.DUE, Key.DEAD) if client.exists(key)]
    return keys + [str(path) for path in house.files()] + house.blobs.paths("_clients")


def claimed(house: House, ref: JobRef, stage: Stage) -> Claim:
    claim = house.ledger.claim(ref, stage, token=new_token())
    assert claim
    return claim


@pytest.mark.parametrize(
    "state", ["queued", "running", *sorted({*JobState} - {"queued", "running", "expired"})]
)
def test_nothing_of_a_job_is_left(house: House, state: str) -> None:
    ref = house.accepted(images.png(), metadata='{"n": 1}')
    if state == "running":
        settle_ml(house, ref)
    elif state != "queued":
        end(house, ref, JobState(state))
    house.blobs.put(blob_path(ref, Blob.PREVIEW), b"x")
    house.blobs.put(blob_path(ref, Blob.DICOM_HEADER), b"{}")
    assert traces(house)

    erase(house, ref)
    assert traces(house) == []
    assert_gone(house, ref)


def test_every_name_of_a_job_is_free_again(house: House) -> None:
    ref = ref_of(post(house, images.png()))
    erase(house, ref)
    assert traces(house) == []
    assert post(house, images.jpeg()).status_code == 202


@pytest.mark.parametrize("forgotten", [False, True])
def test_an_id_of_the_callers_goes_with_the_job(house: House, forgotten: bool) -> None:
    ref = ref_of(put(house, "mine", images.png()))
    complete(house, ref)
    if forgotten:
        lose_ledger(house)
    assert house.http.delete("/v1/jobs/mine").status_code == 204
    assert traces(house) == []
    assert_problem(house.http.get("/v1/jobs/mine"), 404, "unknown_job")
    assert put(house, "mine", images.jpeg()).status_code == 202


def test_the_name_of_a_job_that_the_ledger_forgot_goes_too(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    forget(house, ref)
    erase(house, ref)
    assert traces(house) == []


def test_the_audit_trail_keeps_its_lines(house: House) -> None:
    ref = house.accepted(images.png())
    erase(house, ref)
    house.http.delete(f"/v1/jobs/{ref.job_id}")
    assert actions(house) == ["submitted", "deleted"]
    assert events(house)[-1]["job"] == ref.job_id


def test_another_tenants_job_stays(guarded: Guarded) -> None:
    ref = guarded.submit(guarded.key("theirs"))
    assert_problem(guarded.ask("DELETE", f"/v1/jobs/{ref.job_id}", guarded.key("mine")), 404, "unknown_job")
    assert guarded.house.ledger.read(ref)


# --- who still held it --------------------------------------------------------------------------------------


def the_ml_worker(house: House, ref: JobRef) -> Callable[[], None]:
    claim = claimed(house, ref, Stage.ML)

    def go_on() -> None:
        house.blobs.put(blob_path(ref, Blob.PREVIEW), b"x")
        assert house.ledger.settle(claim, ml_reading()) is Settled.LATE

    return go_on


def fusion_before_it_completes(house: House, ref: JobRef) -> Callable[[], None]:
    settle_ml(house, ref)
    claim = claimed(house, ref, Stage.FUSION)

    def go_on() -> None:
        assert house.ledger.complete(claim, fused_result()) is None

    return go_on


def fusion_about_to_archive(house: House, ref: JobRef) -> Callable[[], None]:
    settle_ml(house, ref)
    job = house.ledger.complete(claimed(house, ref, Stage.FUSION), fused_result())
    assert job

    def go_on() -> None:
        archive(job, house.ledger, house.blobs)

    return go_on


@pytest.mark.parametrize("holder", [the_ml_worker, fusion_before_it_completes, fusion_about_to_archive])
def test_whoever_held_it_brings_nothing_back(
    house: House, holder: Callable[[House, JobRef], Callable[[], None]]
) -> None:
    ref = ref_of(put(house, "mine", images.png()))
    go_on = holder(house, ref)
    erase(house, ref)
    go_on()
    for name in (ref.job_id, "mine"):  # another DELETE would do the reaper's work
        assert_problem(house.http.get(f"/v1/jobs/{name}"), 404, "unknown_job")

    with house.ledger_server.client() as client:  # ten minutes later
        assert client.zscore(Key.ERASED, str(ref))
        client.zadd(Key.ERASED, {str(ref): 1})
    settings = FusionSettings(
        redis_url=house.ledger_server.url,
        broker_url=house.broker_server.broker_url,
        blob_url=house.environment["MEDISCAN_BLOB_URL"],
    )
    Reaper(make_celery(settings), settings, house.ledger, house.blobs).look()
    assert traces(house) == []
    with house.ledger_server.client() as client:
        assert not client.exists(Key.ERASED)
    assert_gone(house, ref)


def test_archiving_and_erasing_at_once_leave_nothing_to_see(house: House) -> None:
    for _ in range(10):
        ref = house.accepted(images.png())
        go_on = fusion_about_to_archive(house, ref)
        archiving = threading.Thread(target=go_on)
        archiving.start()
        erase(house, ref)
        archiving.join()
        assert_gone(house, ref)


# --- trying again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_came_to_nothing_is_tried_again(house: House, state: JobState) -> None:
    first = house.accepted(images.png(), priority="stat", metadata='{"n": 1}')
    end(house, first, state)
    answer = house.http.post(f"/v1/jobs/{first.job_id}/retry")
    job = answer.json()
    assert (answer.status_code, job["state"], job["retry_of"]) == (202, "queued", first.job_id)
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["priority"], job["metadata"]) == ("stat", {"n": 1})
    assert actions(house)[-1] == "retried"
    assert (events(house)[-1]["job"], events(house)[-1]["about"]) == (job["id"], first.job_id)

    erase(house, first)
    again = JobRef(DEFAULT_TENANT, job["id"])
    assert house.blobs.get(blob_path(again, Blob.IMAGE)) == images.png()
    complete(house, again)
    assert house.job(again)["retry_of"] == first.job_id


def test_only_what_came_to_nothing_is_tried_again(house: House) -> None:
    ref = house.accepted(images.png())
    assert_problem(house.http.post(f"/v1/jobs/{ref.job_id}/retry"), 409, "not_retryable")
    complete(house, ref)
    assert_problem(house.http.post(f"/v1/jobs/{ref.job_id}/retry"), 409, "not_retryable")
    assert len(house.files()) == 2


def test_without_its_image_nothing_is_tried_again(house: House) -> None:
    ref = house.accepted(images.png())
    house.ledger.cancel(ref)
    house.blobs.delete(blob_path(ref, Blob.IMAGE))
    assert_problem(house.http.post(f"/v1/jobs/{ref.job_id}/retry"), 409, "image_gone")
    assert house.files() == []


def test_trying_again_is_limited_like_a_submission() -> None:
    with House(daily_quota=1) as house:
        ref = house.accepted(images.png())
        house.ledger.cancel(ref)
        assert_problem(house.http.post(f"/v1/jobs/{ref.job_id}/retry"), 429, "quota_exceeded")


# --- calling off at every stage -----------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [None, Stage.ML, Stage.FUSION])
def test_a_job_is_called_off_at_any_stage_and_its_worker_is_too_late(
    house: House, stage: Stage | None
) -> None:
    ref = house.accepted(images.png())
    if stage is Stage.FUSION:
        settle_ml(house, ref)
    claim = claimed(house, ref, stage) if stage else None
    answer = house.http.post(f"/v1/jobs/{ref.job_id}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    if claim and stage is Stage.ML:
        assert house.ledger.settle(claim, ml_reading()) is Settled.LATE
    if claim and stage is Stage.FUSION:
        assert house.ledger.complete(claim, fused_result()) is None
    assert house.job(ref)["state"] == "cancelled"
