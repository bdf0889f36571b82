"""Following a job: its states, its archive, its heatmap, calling it off. The test plays the workers."""

import io
from typing import Any

import pytest
from PIL import Image

from services.fusion.archive import archive
from shared.names import Blob, JobRef, Key, Stage, blob_path, new_job_id
from tests.integration.gateway.process import House
from tests.support.samples import fused_result, ml_reading, new_token
from tests.unit.gateway import images


def settle_ml(house: House, ref: JobRef) -> None:
    claim = house.ledger.claim(ref, Stage.ML, token=new_token())
    assert claim
    house.ledger.settle(claim, ml_reading())


def complete(house: House, ref: JobRef) -> None:
    """As the workers do: ML reading, fusion, archive."""
    settle_ml(house, ref)
    claim = house.ledger.claim(ref, Stage.FUSION, token=new_token())
    assert claim
    job = house.ledger.complete(claim, fused_result())
    assert job
    archive(job, house.ledger, house.blobs)


def forget(house: House, ref: JobRef) -> None:
    """The ledger's cache of a finished job runs out."""
    with house.ledger_server.client() as client:
        client.delete(Key.job(ref))


def assert_problem(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_job_is_seen_at_each_step(house: House) -> None:
    ref = house.accepted(images.png())
    seen = [house.job(ref)]
    claim = house.ledger.claim(ref, Stage.ML, token=new_token())
    assert claim
    seen.append(house.job(ref))
    house.ledger.settle(claim, ml_reading())
    seen.append(house.job(ref))
    fusion = house.ledger.claim(ref, Stage.FUSION, token=new_token())
    assert fusion
    house.ledger.complete(fusion, fused_result())
    seen.append(house.job(ref))

    assert [job["state"] for job in seen] == ["queued", "running", "running", "completed"]
    assert [job["readings"]["ml"]["state"] for job in seen] == ["pending", "claimed", "done", "done"]
    fractions = [job["progress"]["fraction"] for job in seen]
    assert fractions == sorted(fractions)
    assert seen[-1]["result"]["label"] == "Positive"


def test_a_poller_that_is_up_to_date_gets_304(house: House) -> None:
    ref = house.accepted(images.png())
    url = f"/v1/jobs/{ref.job_id}"
    first = house.http.get(url)
    known = {"if-none-match": first.headers["etag"]}

    again = house.http.get(url, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["retry-after"] == "1"
    assert again.headers["etag"] == first.headers["etag"]

    complete(house, ref)
    changed = house.http.get(url, headers=known)
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]
    assert "retry-after" not in changed.headers
    assert changed.headers["cache-control"] == "no-store"


def test_a_finished_job_outlives_the_ledger_byte_for_byte(house: House) -> None:
    ref = house.accepted(images.png(), metadata='{"ward": "7"}')
    complete(house, ref)
    live = house.http.get(f"/v1/jobs/{ref.job_id}")
    forget(house, ref)
    archived = house.http.get(f"/v1/jobs/{ref.job_id}")
    assert (archived.content, archived.headers["etag"]) == (live.content, live.headers["etag"])


def test_the_heatmap_is_drawn_over_the_preview(house: House) -> None:
    ref = house.accepted(images.png())
    url = f"/v1/jobs/{ref.job_id}/heatmap.png"
    assert_problem(house.http.get(url), 404, "no_heatmap")
    house.blobs.put(blob_path(ref, Blob.PREVIEW), images.encode(images.picture(size=(300, 200)), "JPEG"))
    assert_problem(house.http.get(url), 404, "no_heatmap")
    complete(house, ref)

    answer = house.http.get(url)
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (300, 200)
    assert house.http.get(url, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    forget(house, ref)
    assert house.http.get(url).content == answer.content


def test_a_reading_without_a_preview_has_no_heatmap(house: House) -> None:
    ref = house.accepted(images.png())
    settle_ml(house, ref)
    assert_problem(house.http.get(f"/v1/jobs/{ref.job_id}/heatmap.png"), 404, "no_heatmap")


def test_a_job_can_be_cancelled_and_cancelled_again(house: House) -> None:
    ref = house.accepted(images.png())
    for _ in range(2):
        answer = house.http.post(f"/v1/jobs/{ref.job_id}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert house.job(ref)["state"] == "cancelled"


def test_a_finished_job_cannot_be_cancelled(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    for _ in range(2):
        assert_problem(house.http.post(f"/v1/jobs/{ref.job_id}/cancel"), 409, "already_over")
        forget(house, ref)
    assert house.job(ref)["state"] == "completed"


@pytest.mark.parametrize(
    ("method", "suffix"),
    [
        ("GET", ""),
        ("GET", "/heatmap.png"),
        ("GET", "/preview.jpg"),
        ("GET", "/report.pdf"),
        ("POST", "/cancel"),
    ],
)
@pytest.mark.parametrize(
    ("job_id", "code"),
    [
        (new_job_id(), "unknown_job"),
        ("job_123", "malformed_job_id"),
        (f"job_{'f' * 32}", "malformed_job_id"),
        (new_job_id().upper(), "malformed_job_id"),
        (new_job_id() + "%0A", "malformed_job_id"),
        ("..%5C..%5Cprobe", "malformed_job_id"),
    ],
    ids=("unknown", "short", "no time", "upper case", "line break", "path"),  # the same in every process
)
def test_ids_that_name_no_job(house: House, method: str, suffix: str, job_id: str, code: str) -> None:
    assert_problem(house.http.request(method, f"/v1/jobs/{job_id}{suffix}"), 404, code)


def test_the_frameworks_own_refusals_are_problems_too(house: House) -> None:
    assert_problem(house.http.get("/v2/jobs"), 404, "not_found")
    assert_problem(house.http.delete("/v1/jobs"), 405, "method_not_allowed")
