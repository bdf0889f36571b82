"""The same submission again: one job, one image, one message, whoever asks, how often, and at which gateway."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.fusion.retention import sweep
from shared.job_state import JobState
from shared.names import DEFAULT_TENANT, Blob, JobRef, Key, Stage, blob_path, is_client_id, job_seconds
from shared.settings import Settings
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House, listening, start
from tests.integration.gateway.test_audited import actions
from tests.integration.gateway.test_follow import assert_problem, complete, forget, settle_ml
from tests.support.samples import PROBLEM, UNREADABLE, new_token
from tests.support.waiting import wait_until
from tests.unit.gateway import images

KEY = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
LARGE = images.noise(2 << 20)


def post(house: House, image: bytes, headers: Any = KEY, **fields: str) -> httpx.Response:
    files = {"image": ("scan.png", image)}
    return house.http.post("/v1/jobs", files=files, data=fields, headers=headers)


def put(house: House, client_id: str, image: bytes, **fields: str) -> httpx.Response:
    return house.http.put(f"/v1/jobs/{client_id}", files={"image": ("scan.png", image)}, data=fields)


def ref_of(answer: httpx.Response) -> JobRef:
    return JobRef(DEFAULT_TENANT, answer.json()["id"])


def messages(house: House) -> int:
    return sum(map(len, house.messages().values()))


# --- Idempotency-Key --------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", [images.png(), LARGE], ids=["whole", "streamed"])
def test_a_replay_is_the_same_job_and_leaves_nothing(house: House, image: bytes) -> None:
    first = post(house, image, metadata='{"a": 1, "b": 2}')
    again = post(house, image, metadata='{"b": 2, "a": 1}')

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() | {"queue": None} == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert [path.read_bytes() for path in house.files()] == [image]
    assert messages(house) == 1
    assert actions(house) == ["submitted"]


def test_while_it_runs_a_replay_is_the_running_job_and_once_it_is_over_the_finished_one(house: House) -> None:
    first = post(house, images.png())
    ref = JobRef(DEFAULT_TENANT, first.json()["id"])
    house.ledger.claim(ref, Stage.ML, token=new_token())
    running = post(house, images.png())
    assert (running.status_code, running.json()["id"]) == (200, ref.job_id)
    assert running.json()["state"] == "running"
    house.http.post(f"/v1/jobs/{ref.job_id}/cancel")
    over = post(house, images.png())
    assert (over.status_code, over.json()["id"], over.json()["state"]) == (200, ref.job_id, "cancelled")


@pytest.mark.parametrize("image", [images.png(), LARGE], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "fields",
    [{"priority": "stat"}, {"metadata": '{"a": 2}'}, {"deduplicate": "true"}],
    ids=["priority", "metadata", "deduplicate"],
)
def test_another_submission_under_the_same_key_is_refused(
    house: House, image: bytes, fields: dict[str, str]
) -> None:
    post(house, image)
    assert_problem(post(house, image, **fields), 422, "idempotency_key_reused")
    assert len(house.files()) == 1
    assert messages(house) == 1


def test_another_image_under_the_same_key_is_refused(house: House) -> None:
    post(house, images.png())
    assert_problem(post(house, images.jpeg()), 422, "idempotency_key_reused")


def test_other_keys_and_none_make_jobs_of_their_own(house: House) -> None:
    answers = [post(house, images.png(), headers) for headers in ({}, {}, KEY, {"idempotency-key": "b"})]
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.json()["id"] for answer in answers}) == 4


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256])
def test_a_key_that_cannot_be_one_is_refused(house: House, key: str) -> None:
    answer = post(house, images.png(), {"idempotency-key": key.encode()})
    assert_problem(answer, 400, "bad_idempotency_key")
    assert house.left_behind() == []


def test_two_keys_at_once_are_refused(house: House) -> None:
    headers: Any = [("idempotency-key", "a"), ("idempotency-key", "b")]
    assert_problem(post(house, images.png(), headers), 400, "bad_idempotency_key")


def test_the_longest_key_is_taken(house: House) -> None:
    assert post(house, images.png(), {"idempotency-key": "~" * 255}).status_code == 202


def test_a_replay_after_the_ledger_forgot_the_job_finds_it_in_the_archive(house: House) -> None:
    first = post(house, images.png())
    complete(house, ref_of(first))
    forget(house, ref_of(first))
    again = post(house, images.png())
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert again.json()["state"] == "completed"


def test_a_key_whose_job_is_gone_altogether_is_free(house: House) -> None:
    first = post(house, images.png())
    forget(house, ref_of(first))
    second = post(house, images.png())
    assert second.status_code == 202
    assert second.json()["id"] != first.json()["id"]
    assert house.blobs.exists(blob_path(ref_of(second), Blob.IMAGE))
    assert post(house, images.png()).json()["id"] == second.json()["id"]


def test_a_key_is_remembered_for_as_long_as_the_setting_says(house: House) -> None:
    ref = ref_of(post(house, images.png()))
    with house.ledger_server.client() as client:
        found = [str(key) for key in client.scan_iter(f"mediscan:alias:{DEFAULT_TENANT}:idempotency:*")]
        for key in [*found, Key.aliases(ref)]:
            assert 0 < int(client.ttl(key)) <= Settings().idempotency_s
        assert len(found) == 1


def test_a_replay_costs_no_quota() -> None:
    with House(daily_quota=1) as house:
        first = post(house, images.png())
        assert first.headers["ratelimit"].startswith('"day";r=0')
        with house.ledger_server.client() as client:
            assert [int(str(client.get(key))) for key in client.scan_iter("mediscan:spent:*")] == [1]


# --- an id of the caller's ----------------------------------------------------------------------------------


def test_a_job_has_the_id_that_its_caller_chose(house: House) -> None:
    first = put(house, "study.7~a", images.png())
    again = put(house, "study.7~a", images.png())

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() | {"queue": None} == first.json()
    assert first.json()["client_id"] == "study.7~a"
    assert first.headers["location"] == f"/v1/jobs/{first.json()['id']}"
    assert messages(house) == len(house.files()) == 1


def test_every_address_takes_either_id(house: House) -> None:
    job = put(house, "mine", images.png()).json()
    settle_ml(house, JobRef(DEFAULT_TENANT, job["id"]))
    by_ours, by_theirs = (house.http.get(f"/v1/jobs/{name}") for name in (job["id"], "mine"))
    assert by_ours.json() == by_theirs.json()
    assert by_ours.headers["etag"] == by_theirs.headers["etag"]
    assert house.http.post("/v1/jobs/mine/cancel").json()["id"] == job["id"]
    assert_problem(house.http.get("/v1/jobs/mine/heatmap.png"), 404, "no_heatmap")


def test_another_submission_with_the_same_id_is_refused(house: House) -> None:
    put(house, "mine", images.png())
    assert_problem(put(house, "mine", images.png(), priority="stat"), 422, "client_id_reused")
    assert_problem(put(house, "mine", LARGE), 422, "client_id_reused")
    assert len(house.files()) == 1


@pytest.mark.parametrize("name", ["-a", "x" * 65, "job_1", "JOB_1", "a b", "ä", "a%0A"])
def test_an_id_that_cannot_be_one_is_refused(house: House, name: str) -> None:
    assert not is_client_id(name)
    assert_problem(put(house, name, images.png()), 422, "bad_client_id")
    assert_problem(house.http.get(f"/v1/jobs/{name}"), 404, "malformed_job_id")
    assert house.left_behind() == []


def test_an_id_of_ones_own_goes_with_no_other_job(house: House) -> None:
    assert_problem(put(house, "mine", images.png(), deduplicate="true"), 422, "bad_deduplicate")
    assert_problem(put(house, "mine", LARGE, deduplicate="true"), 422, "bad_deduplicate")
    assert house.left_behind() == []


def test_an_unknown_id_is_an_unknown_job(house: House) -> None:
    assert_problem(house.http.get("/v1/jobs/mine"), 404, "unknown_job")


def lose_ledger(house: House) -> None:
    """Everything it remembered ran out."""
    with house.ledger_server.client() as client:
        client.flushall()


def test_an_id_of_the_callers_outlives_the_ledger_as_the_result_does(house: House) -> None:
    first = put(house, "mine", images.png())
    complete(house, ref_of(first))
    lose_ledger(house)

    assert house.http.get("/v1/jobs/mine").json()["result"]["label"] == "Positive"
    again = put(house, "mine", images.png())
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert again.json()["client_id"] == "mine"
    assert_problem(put(house, "mine", images.jpeg()), 422, "client_id_reused")
    assert messages(house) == 1


def test_an_id_is_free_when_the_retention_of_its_job_is_over(house: House) -> None:
    first = put(house, "mine", images.png())
    complete(house, ref_of(first))
    lose_ledger(house)

    settings = Settings(retention_s=2 * 3600)
    then = job_seconds(first.json()["id"]) + 4 * 3600
    assert sweep(house.ledger, house.blobs, settings, now=then) == 3
    assert [*house.files(), *house.blobs.paths("_clients")] == []
    assert_problem(house.http.get("/v1/jobs/mine"), 404, "unknown_job")
    assert put(house, "mine", images.jpeg()).status_code == 202


def test_an_id_that_another_job_has_by_now_stays_with_it(house: House) -> None:
    first = put(house, "mine", images.png())
    complete(house, ref_of(first))
    lose_ledger(house)
    house.blobs.delete(blob_path(ref_of(first), Blob.RECORD))
    second = put(house, "mine", images.jpeg())
    assert second.status_code == 202
    complete(house, ref_of(second))
    lose_ledger(house)

    for path in house.files():
        if path.name.startswith(second.json()["id"]):
            path.rename(house.folder / path.name)
    sweep(house.ledger, house.blobs, Settings(), now=job_seconds(first.json()["id"]) + 40 * 86400)
    (left,) = house.blobs.paths("_clients")
    assert second.json()["id"] in house.blobs.get(left).decode()


# --- the same image -----------------------------------------------------------------------------------------


def test_a_job_over_the_same_image_will_do(house: House) -> None:
    first = house.submit(images.png())
    again = house.submit(images.png(), deduplicate="true", priority="stat", metadata='{"a": 1}')
    assert (again.status_code, again.json() | {"queue": None}) == (200, first.json())
    assert "idempotency-replayed" not in again.headers
    assert len(house.files()) == messages(house) == 1


def test_only_who_asks_is_given_an_earlier_job(house: House) -> None:
    ids = {house.accepted(images.png()) for _ in range(2)}
    assert len(ids) == 2
    assert house.submit(images.png(), deduplicate="false").status_code == 202
    assert house.submit(images.jpeg(), deduplicate="true").status_code == 202


def end(house: House, ref: JobRef, state: JobState) -> None:
    if state is JobState.COMPLETED:
        return complete(house, ref)
    if state is JobState.CANCELLED:
        house.ledger.cancel(ref)
        return None
    claim = house.ledger.claim(ref, Stage.ML, token=new_token())
    assert claim
    assert house.ledger.fail(claim, PROBLEM, UNREADABLE)
    return None


@pytest.mark.parametrize(
    ("state", "status"), [(JobState.COMPLETED, 200), (JobState.CANCELLED, 202), (JobState.FAILED, 202)]
)
def test_an_earlier_job_must_not_have_come_to_nothing(house: House, state: JobState, status: int) -> None:
    end(house, house.accepted(images.png()), state)
    assert house.submit(images.png(), deduplicate="true").status_code == status


def test_a_job_that_the_ledger_forgot_is_not_found_by_its_image(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    forget(house, ref)
    assert house.submit(images.png(), deduplicate="true").status_code == 202


def test_a_key_then_stands_for_the_job_over_the_same_image(house: House) -> None:
    first = house.submit(images.png())
    for expected in (None, "true"):
        again = post(house, images.png(), deduplicate="true")
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
        assert again.headers["idempotency-replayed"] == "true", expected


def test_deduplicate_is_yes_or_no(house: House) -> None:
    assert_problem(house.submit(images.png(), deduplicate="maybe"), 422, "bad_deduplicate")
    assert house.left_behind() == []


# --- tenants ------------------------------------------------------------------------------------------------


def test_names_and_images_of_another_tenant_mean_nothing(guarded: Guarded) -> None:
    theirs, mine = guarded.key("theirs"), guarded.key("mine")
    files = {"image": ("scan", images.png())}
    headers = {"x-api-key": theirs.text, **KEY}
    first = guarded.house.http.post("/v1/jobs", files=files, headers=headers)
    second = guarded.ask("PUT", "/v1/jobs/shared", theirs, files=files)
    assert (first.status_code, second.status_code) == (202, 202)

    assert_problem(guarded.ask("GET", "/v1/jobs/shared", mine), 404, "unknown_job")
    answers = [
        guarded.house.http.post("/v1/jobs", files=files, headers={"x-api-key": mine.text, **KEY}),
        guarded.ask("PUT", "/v1/jobs/shared", mine, files=files),
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    other = guarded.key("other")
    assert (
        guarded.ask("POST", "/v1/jobs", other, files=files, data={"deduplicate": "true"}).status_code == 202
    )
    ids = {answer.json()["id"] for answer in (first, second, *answers)}
    assert len(ids) == 4
    assert guarded.ask("GET", "/v1/jobs/shared", mine).json()["id"] == answers[1].json()["id"]


def test_a_replay_shows_no_reading_to_who_may_not_read(guarded: Guarded) -> None:
    token = guarded.key("ward-7", scopes=("submit",))
    ref = guarded.submit(token)
    complete(guarded.house, ref)
    files, again = {"image": ("scan", images.png())}, {"deduplicate": "true"}
    answer = guarded.ask("POST", "/v1/jobs", token, files=files, data=again)
    assert (answer.status_code, answer.json()["id"]) == (200, ref.job_id)
    assert (answer.json()["result"], answer.json()["readings"]["ml"]["state"]) == (None, "pending")


# --- at once ------------------------------------------------------------------------------------------------


@pytest.fixture
def two_gateways(house: House, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Addresses of two gateway processes over the same stores."""
    log = tmp_path / "second.log"
    process = start(house.environment, log)
    try:
        yield house.url, wait_until(lambda: listening(log), timeout_s=20, what="the second gateway listens")
    finally:
        process.terminate()
        process.wait(timeout=20)


def at_once(urls: tuple[str, str], method: str, path: str, **more: Any) -> list[httpx.Response]:
    def submit(number: int) -> httpx.Response:
        files = {"image": ("scan.png", images.png())}
        return httpx.request(method, urls[number % 2] + path, files=files, timeout=30, **more)

    with ThreadPoolExecutor(20) as pool:
        return list(pool.map(submit, range(20)))


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("POST", "/v1/jobs", {"headers": KEY}),
        ("PUT", "/v1/jobs/mine", {}),
        ("POST", "/v1/jobs", {"data": {"deduplicate": "true"}}),
    ],
    ids=["key", "client id", "image"],
)
def test_twenty_at_once_at_two_gateways_make_one_job(
    house: House, two_gateways: tuple[str, str], method: str, path: str, more: dict[str, Any]
) -> None:
    answers = at_once(two_gateways, method, path, **more)
    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 19}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(house.files()) == messages(house) == 1
    assert actions(house) == ["submitted"]


def test_an_address_names_every_method_that_it_takes(house: House) -> None:
    answer = house.http.patch("/v1/jobs/mine")
    assert_problem(answer, 405, "method_not_allowed")
    assert {"GET", "PUT"} <= set(answer.headers["allow"].split(", "))
