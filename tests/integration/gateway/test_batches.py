"""Many images in one request: what becomes of them together, and of each. The test plays the workers."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.fusion.retention import sweep
from shared.names import DEFAULT_TENANT, JobRef, Key, job_seconds
from shared.settings import Settings
from tests.integration.gateway.conftest import MAX_UPLOAD_BYTES
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.integration.gateway.test_audited import actions, events
from tests.integration.gateway.test_follow import assert_problem, complete, forget
from tests.support import zips
from tests.support.dicoms import dicom, frames, read, report
from tests.support.waiting import wait_until
from tests.unit.gateway import images

GOOD = [images.png("L"), images.png("RGB"), images.jpeg("RGB")]


def send(house: House, *files: bytes, archive: bytes | None = None, **more: Any) -> httpx.Response:
    parts = [("image", ("x", data)) for data in files]
    if archive is not None:
        parts.append(("archive", ("x.zip", archive)))
    return house.http.post("/v1/batches", files=parts, **more)


def accepted(house: House, *files: bytes, **more: Any) -> dict[str, Any]:
    answer = send(house, *files, **more)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["links"]["self"]
    return dict(answer.json())


def url(batch: dict[str, Any], suffix: str = "") -> str:
    return f"/v1/batches/{batch['id']}{suffix}"


def look(house: House, batch: dict[str, Any]) -> dict[str, Any]:
    answer = house.http.get(url(batch))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def results(house: House, batch: dict[str, Any]) -> list[dict[str, Any]]:
    answer = house.http.get(batch["links"]["results"])
    assert answer.headers["content-type"] == "application/jsonl"
    return [json.loads(line) for line in answer.text.splitlines()]


def jobs(house: House, batch: dict[str, Any]) -> list[JobRef]:
    return [JobRef(DEFAULT_TENANT, line["id"]) for line in results(house, batch) if "id" in line]


def test_each_image_is_a_job_with_what_all_share(house: House) -> None:
    batch = accepted(house, *GOOD, data={"priority": "stat", "metadata": '{"study": "A-17"}'})
    assert (batch["state"], batch["progress"], batch["refused"]) == ("running", 0, [])
    assert (batch["counts"]["submitted"], batch["counts"]["queued"]) == (3, 3)
    lines = results(house, batch)
    assert [line["image"]["size_bytes"] for line in lines] == [len(data) for data in GOOD]
    for line in lines:
        assert line == house.job(JobRef(DEFAULT_TENANT, line["id"])) | {"queue": None}
        assert (line["priority"], line["metadata"]) == ("stat", {"study": "A-17"})
        assert line["batch_id"] == batch["id"]
    assert len(house.messages()["ml"]) == 3


def test_the_fields_may_come_after_the_images(house: House) -> None:
    parts = [("image", ("x", GOOD[0])), ("metadata", (None, b'{"n": 1}')), ("image", ("x", GOOD[1]))]
    batch = house.http.post("/v1/batches", files=parts).json()
    assert [line["metadata"] for line in results(house, batch)] == [{"n": 1}] * 2


def test_a_zip_is_a_batch(house: House) -> None:
    names = [f"/etc/../{number}.png" for number in range(3)]
    batch = accepted(house, archive=zips.zipped(dict(zip(names, GOOD, strict=True))))
    assert [line["image"]["size_bytes"] for line in results(house, batch)] == [len(data) for data in GOOD]
    assert not [path for path in house.files() if path.suffix == ".archive"]
    assert "etc" not in json.dumps(look(house, batch))


def test_what_is_wrong_with_one_item_refuses_that_one(house: House) -> None:
    big = images.noise(MAX_UPLOAD_BYTES + 100_000)
    batch = accepted(
        house, GOOD[0], b"no image", GOOD[1], images.png()[:-20], b"", big, images.noise(2 << 20)
    )
    assert [(one["index"], one["problem"]["code"]) for one in batch["refused"]] == [
        (1, "unsupported_image"),
        (3, "image_truncated"),
        (4, "empty_image"),
        (5, "image_too_large"),
    ]
    assert (batch["counts"]["refused"], batch["counts"]["queued"]) == (4, 3)
    lines = results(house, batch)
    assert [line.get("code") for line in lines] == [
        *(None, "unsupported_image", None, "image_truncated", "empty_image", "image_too_large", None)
    ]
    assert len([path for path in house.files() if path.suffix == ".image"]) == 3


def test_dicom_files_are_jobs_like_others_after_the_same_checks(house: House) -> None:
    several, cut, no_image = dicom(frames(3)), dicom()[:400], report()
    for batch in (
        accepted(house, GOOD[0], several, cut, no_image),
        accepted(
            house, archive=zips.zipped({"a": GOOD[0], "b.dcm": several, "c.dcm": cut, "d.dcm": no_image})
        ),
    ):
        assert [(one["index"], one["problem"]["code"]) for one in batch["refused"]] == [
            (2, "dicom_header_damaged"),
            (3, "dicom_not_an_image"),
        ]
        image = results(house, batch)[1]["image"]
        assert image["media_type"] == "application/dicom"
        assert (image["dicom"]["number_of_frames"], image["dicom"]["frame"]) == (3, "middle")
        assert image["dicom"]["study_instance_uid"] == read(several).StudyInstanceUID
    assert len([path for path in house.files() if path.suffix == ".image"]) == 4


def test_writing_in_the_pictures_is_said_for_all_of_a_batch() -> None:
    with House(gemini_enabled=True) as asking:
        plain, written = (
            accepted(asking, dicom(), GOOD[0], data={"burned_in_text": said}) for said in ("false", "true")
        )
        reasons = [
            {line["readings"]["gemini"].get("reason") for line in results(asking, batch)}
            for batch in (plain, written)
        ]
    assert reasons == [{None}, {"burned_in_text"}]


def test_a_zip_with_some_bad_files(house: House) -> None:
    archive = zips.zipped({"a": GOOD[0], "b": GOOD[1], "c": b"no image", "d": zips.zipped({"e": GOOD[0]})})
    batch = accepted(house, archive=zips.patched(archive, 1, crc=1))
    assert [one["problem"]["code"] for one in batch["refused"]] == [
        "archive_entry_damaged",
        "unsupported_image",
        "unsupported_image",
    ]


def test_a_batch_of_nothing_good_is_over_at_once(house: House) -> None:
    batch = accepted(house, b"nothing")
    assert (batch["state"], batch["progress"], batch["counts"]["refused"]) == ("completed", 1, 1)


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([("priority", (None, b"stat"))], 422, "empty_batch"),
        ([("image", ("x", GOOD[0])), ("priority", (None, b"soon"))], 422, "bad_priority"),
        ([("image", ("x", b"no image")), ("priority", (None, b"soon"))], 422, "bad_priority"),
        ([("image", ("x", GOOD[0])), ("model", (None, b"none/1"))], 422, "unknown_model"),
        ([("image", ("x", GOOD[0])), ("prior_job_id", (None, b"x"))], 400, "unexpected_part"),
        ([("image", ("x", GOOD[0])), ("archive", ("x", b"x"))], 400, "more_than_one_archive"),
        (
            [("archive", ("x", zips.zipped({"a": GOOD[0]}))), ("image", ("x", GOOD[0]))],
            400,
            "more_than_one_archive",
        ),
        ([("archive", ("x", b"no zip"))], 422, "bad_archive"),
        ([("archive", ("x", b""))], 400, "empty_archive"),
    ],
)
def test_what_is_wrong_with_the_whole_leaves_nothing(
    house: House, parts: list[Any], status: int, code: str
) -> None:
    assert_problem(house.http.post("/v1/batches", files=parts), status, code)
    assert house.left_behind() == []


def test_a_body_that_breaks_off_leaves_nothing(house: House) -> None:
    whole = house.http.build_request("POST", "/v1/batches", files=[("image", ("x", data)) for data in GOOD])
    body = whole.read()[:-400]
    headers = {"content-type": whole.headers["content-type"]}
    assert_problem(house.http.post("/v1/batches", content=body, headers=headers), 400, "upload_incomplete")
    assert house.left_behind() == []


def test_too_many_images_are_refused_whole() -> None:
    with House(max_batch_items=2) as house:
        assert_problem(send(house, *GOOD), 413, "too_many_items")
        assert_problem(
            send(house, archive=zips.zipped({str(n): GOOD[0] for n in range(3)})), 413, "too_many_items"
        )
        assert house.left_behind() == []


def test_counts_follow_the_jobs_and_outlive_the_ledger(house: House) -> None:
    batch = accepted(house, *GOOD, b"bad")
    first, second, third = jobs(house, batch)
    complete(house, first)
    assert (look(house, batch)["counts"]["completed"], look(house, batch)["progress"]) == (1, 0.5)
    complete(house, second)
    forget(house, second)
    house.http.post(f"/v1/jobs/{third.job_id}/cancel")
    ended = look(house, batch)
    assert (ended["state"], ended["progress"]) == ("completed", 1)
    expected = {"submitted": 4, "refused": 1, "completed": 2, "cancelled": 1}
    assert {name: count for name, count in ended["counts"].items() if count} == expected
    for ref in (first, third):
        forget(house, ref)
    assert look(house, batch) == ended
    with house.ledger_server.client() as client:
        kept = {str(key) for key in client.scan_iter("mediscan:*") if "batch" in str(key)}
    assert kept == set(), "nothing of a batch without a key is in Redis"


def test_a_batch_is_called_off_once(house: House) -> None:
    batch = accepted(house, *GOOD)
    done, *_ = jobs(house, batch)
    complete(house, done)
    for _ in range(2):
        answer = house.http.post(url(batch, "/cancel"))
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        assert (answer.json()["counts"]["cancelled"], answer.json()["counts"]["completed"]) == (2, 1)
    assert actions(house).count("cancelled") == 2


def test_a_batch_that_is_over_cannot_be_called_off(house: House) -> None:
    assert_problem(house.http.post(url(accepted(house, b"bad"), "/cancel")), 409, "already_over")


def test_an_erased_job_is_counted_and_no_longer_told(house: House) -> None:
    batch = accepted(house, *GOOD)
    refs = jobs(house, batch)
    for ref in refs:
        complete(house, ref)
    assert look(house, batch)["counts"]["completed"] == 3
    house.http.delete(f"/v1/jobs/{refs[1].job_id}")
    assert (look(house, batch)["counts"]["completed"], look(house, batch)["counts"]["erased"]) == (2, 1)
    assert [line.get("code") for line in results(house, batch)] == [None, "unknown_job", None]
    assert [job["id"] for job in house.http.get(batch["links"]["items"]).json()["items"]] == sorted(
        (refs[0].job_id, refs[2].job_id), reverse=True
    )


def test_a_batch_is_erased_with_all_that_is_in_it(house: House) -> None:
    batch = accepted(house, *GOOD)
    complete(house, jobs(house, batch)[0])
    assert house.http.delete(url(batch)).status_code == 204
    assert (house.files(), house.jobs()) == ([], [])
    assert_problem(house.http.get(url(batch)), 404, "unknown_batch")
    assert_problem(house.http.delete(url(batch)), 404, "unknown_batch")
    assert actions(house).count("deleted") == 3


def test_its_jobs_are_a_list_page_by_page(house: House) -> None:
    house.accepted(images.png())
    batch = accepted(house, *GOOD, *GOOD)
    ids = sorted((ref.job_id for ref in jobs(house, batch)), reverse=True)
    first = house.http.get("/v1/jobs", params={"batch": batch["id"], "limit": 4}).json()
    asked = {"batch": batch["id"], "limit": "4", "cursor": first["next_cursor"]}
    second = house.http.get("/v1/jobs", params=asked).json()
    assert [job["id"] for job in (*first["items"], *second["items"])] == ids
    assert second["next_cursor"] is None
    assert_problem(house.http.get("/v1/jobs", params={"batch": "batch_1"}), 404, "unknown_batch")


# --- waiting ----------------------------------------------------------------------------------------------


def test_who_waits_is_told_when_all_is_over(house: House) -> None:
    batch = accepted(house, *GOOD[:2])
    refs = jobs(house, batch)
    found: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: found.append(house.http.get(url(batch), params={"wait": 8})))
    waiting.start()
    for ref in refs:
        complete(house, ref)
    waiting.join(20)
    assert found[0].json()["state"] == "completed"


def test_who_knows_how_it_stood_is_told_of_any_change(house: House) -> None:
    batch = accepted(house, *GOOD[:2])
    known = {"if-none-match": house.http.get(url(batch)).headers["etag"], "prefer": "wait=1"}
    same = house.http.get(url(batch), headers=known)
    assert (same.status_code, same.headers["preference-applied"]) == (304, "wait=1")
    complete(house, jobs(house, batch)[0])
    changed = house.http.get(url(batch), headers=known | {"prefer": "wait=8"})
    assert (changed.status_code, changed.json()["counts"]["completed"]) == (200, 1)
    assert changed.headers["retry-after"] == "1"


# --- again ------------------------------------------------------------------------------------------------


def test_the_same_batch_under_the_same_key_is_the_same(house: House) -> None:
    key = {"idempotency-key": "night-shift"}
    batch = accepted(house, *GOOD, b"bad", headers=key, data={"priority": "stat"})
    before = (house.files(), house.jobs())
    again = send(house, *GOOD, b"bad", headers=key, data={"priority": "stat"})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.json() == batch
    assert (house.files(), house.jobs()) == before
    for other in ([*GOOD], [*GOOD, b"worse"], [*GOOD, b"bad", b"bad"]):
        answer = send(house, *other, headers=key, data={"priority": "stat"})
        assert_problem(answer, 422, "idempotency_key_reused")
    answer = send(house, *GOOD, b"bad", headers=key)
    assert_problem(answer, 422, "idempotency_key_reused")
    assert (house.files(), house.jobs()) == before


def test_an_attempt_that_died_midway_is_gone_on_with(house: House) -> None:
    key = {"idempotency-key": "again"}
    batch = accepted(house, *GOOD, headers=key)
    ids = [ref.job_id for ref in jobs(house, batch)]
    (kept,) = [path for path in house.files() if path.suffix == ".batch"]
    kept.unlink()  # the gateway died before it had written this
    assert_problem(send(house, *GOOD[:2], headers=key), 422, "idempotency_key_reused")
    again = accepted(house, *GOOD, headers=key)
    assert again["id"] == batch["id"]
    assert [ref.job_id for ref in jobs(house, again)] == ids
    assert len([path for path in house.files() if path.suffix == ".image"]) == 3


def test_the_same_zip_under_the_same_key_is_the_same(house: House) -> None:
    key, archive = {"idempotency-key": "zip"}, zips.zipped({"a": GOOD[0], "b": b"bad"})
    batch = accepted(house, archive=archive, headers=key)
    before = house.files()
    assert send(house, archive=archive, headers=key).json() == batch
    assert_problem(
        send(house, archive=zips.zipped({"a": GOOD[0]}), headers=key), 422, "idempotency_key_reused"
    )
    assert house.files() == before


# --- limits, tenants, trail, retention ----------------------------------------------------------------------


@pytest.fixture
def narrow() -> Iterator[House]:
    with House(max_live_jobs=4, max_live_jobs_per_tenant_share=0.5, rate_per_minute=3) as house:
        yield house


def test_each_item_counts_against_the_limits(narrow: House) -> None:
    batch = accepted(narrow, *GOOD, GOOD[0])
    assert [(one["index"], one["problem"]["code"]) for one in batch["refused"]] == [
        (2, "tenant_full"),
        (3, "rate_limited"),
    ]
    assert len([path for path in narrow.files() if path.suffix == ".image"]) == 2
    refused = send(narrow, *GOOD)
    assert refused.status_code == 429
    assert "retry-after" in refused.headers


def test_a_batch_is_its_tenants_alone(guarded: Guarded) -> None:
    theirs, mine = guarded.key("theirs"), guarded.key("mine")
    batch = guarded.ask("POST", "/v1/batches", theirs, files=[("image", ("x", GOOD[0]))]).json()
    for method, suffix in (("GET", ""), ("GET", "/results.jsonl"), ("POST", "/cancel"), ("DELETE", "")):
        answers = [
            guarded.ask(method, f"/v1/batches/{name}{suffix}", mine)
            for name in (batch["id"], "batch_01a2058e0595c8a88fdd5381f53c2364", "nonsense")
        ]
        bodies = {(one.status_code, one.json()["code"], one.json()["detail"]) for one in answers}
        assert bodies == {(404, "unknown_batch", "There is no batch with this id.")}
    assert guarded.ask("GET", "/v1/jobs", mine, params={"batch": batch["id"]}).status_code == 404
    assert guarded.ask("GET", url(batch), theirs).json()["counts"]["queued"] == 1


def test_who_exports_results_is_in_the_trail(house: House) -> None:
    batch = accepted(house, *GOOD)
    first, *_ = jobs(house, batch)
    complete(house, first)
    look(house, batch)
    assert actions(house) == ["submitted"] * 3, "counts tell nothing about a patient"
    results(house, batch)
    assert (events(house)[-1]["action"], events(house)[-1]["jobs"]) == ("listed", [first.job_id])


def test_the_retention_takes_it_and_the_sweep_for_orphans_does_not(house: House) -> None:
    batch = accepted(house, *GOOD)
    refs = jobs(house, batch)
    for ref in refs:
        complete(house, ref)
        forget(house, ref)
    (kept,) = [path for path in house.files() if path.suffix == ".batch"]
    kept.with_name(f"{kept.stem}.archive").write_bytes(b"its gateway died")
    at, settings = job_seconds(refs[0].job_id), Settings()
    sweep(house.ledger, house.blobs, settings, now=at + 2.5 * 3600)
    assert kept.exists()
    assert not kept.with_name(f"{kept.stem}.archive").exists()
    assert look(house, batch)["counts"]["completed"] == 3
    sweep(house.ledger, house.blobs, settings, now=at + settings.retention_s + 2 * 3600)
    assert house.files() == []


def test_the_channel_of_a_batch_tells_what_becomes_of_its_jobs(house: House) -> None:
    batch = accepted(house, GOOD[0])
    (ref,) = jobs(house, batch)
    with house.ledger_server.client() as client, client.pubsub() as heard:
        heard.subscribe(f"{Key.CHANGES}{DEFAULT_TENANT}/{batch['id']}")
        wait_until(lambda: (heard.get_message(timeout=1) or {}).get("type") == "subscribe")
        house.http.delete(f"/v1/jobs/{ref.job_id}")
        wait_until(lambda: (heard.get_message(timeout=1) or {}).get("type") == "message")
