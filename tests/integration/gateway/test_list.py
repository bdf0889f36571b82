"""A tenant's jobs as a list: newest first, page by page, while they move from the ledger to the blob store."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.contracts import Risk, RiskBand
from shared.names import Blob, JobRef, blob_path, new_job_id
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.integration.gateway.test_audited import events
from tests.integration.gateway.test_follow import assert_problem, complete, forget, settle_ml
from tests.support.stored_jobs import stored_job
from tests.unit.gateway import images

HOUR = 3600.0
#: More jobs than one request looks at.
_A_LONG_LOOK = 1010


def listed(house: House, **asked: Any) -> dict[str, Any]:
    answer = house.http.get("/v1/jobs", params=asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ids(page: dict[str, Any]) -> list[str]:
    return [job["id"] for job in page["items"]]


def rest(house: House, page: dict[str, Any], **asked: Any) -> list[str]:
    """Every id from this page on, with whatever the house is doing meanwhile."""
    found = ids(page)
    while page["next_cursor"]:
        page = listed(house, cursor=page["next_cursor"], **asked)
        found += ids(page)
    return found


def test_without_jobs_there_is_one_empty_page(house: House) -> None:
    assert listed(house) == {"items": [], "next_cursor": None}


def test_pages_follow_each_other_newest_first_and_end(house: House) -> None:
    refs = [house.accepted(images.png()) for _ in range(6)]
    pages = [listed(house, limit=3)]
    pages.append(listed(house, limit=3, cursor=pages[0]["next_cursor"]))
    assert [job_id for page in pages for job_id in ids(page)] == [ref.job_id for ref in reversed(refs)]
    assert pages[0]["next_cursor"]
    assert rest(house, pages[1], limit=3) == ids(pages[1])
    assert pages[0]["items"][0] == house.job(refs[-1]) | {"queue": None}


def test_a_job_that_is_archived_and_forgotten_between_two_pages_keeps_its_place(house: House) -> None:
    refs = [house.accepted(images.png()) for _ in range(6)]
    first = listed(house, limit=2)
    for ref in refs:
        complete(house, ref)
        forget(house, ref)
    house.accepted(images.png())  # belongs before the first page
    assert rest(house, first, limit=2) == [ref.job_id for ref in reversed(refs)]
    with house.ledger_server.client() as client:
        kept = {str(key) for key in client.scan_iter("mediscan:job:*")}
    assert len(kept) == 1, "Redis holds what runs, and nothing for the list"


def test_jobs_of_many_hours_are_one_list(house: House) -> None:
    now = time.time()
    old = [stored_job(house.blobs, now - back * 7 * HOUR) for back in (3, 2, 1)]
    refs = [*old, house.accepted(images.png())]
    newest_first = [ref.job_id for ref in reversed(refs)]
    for limit in (1, 2, 3, 4, 100):
        assert rest(house, listed(house, limit=limit), limit=limit) == newest_first


def test_all_that_is_given_must_hold(house: House) -> None:
    at = time.time() - 5 * HOUR
    low = stored_job(house.blobs, at, label="Negative", risk=Risk(score=3, band=RiskBand.LOW))
    high = stored_job(house.blobs, at + 1, needs_review=True, risk=Risk(score=90, band=RiskBand.HIGH))
    failed = stored_job(house.blobs, at + 2, state="failed")
    live = house.accepted(images.png())
    wanted: list[tuple[dict[str, Any], list[JobRef]]] = [
        ({"state": "queued"}, [live]),
        ({"state": "failed"}, [failed]),
        ({"state": "completed"}, [high, low]),
        ({"label": "Negative"}, [low]),
        ({"label": "Positive"}, [high]),
        ({"risk_band": "low"}, [low]),
        ({"needs_review": "true"}, [high]),
        ({"needs_review": "false"}, [low]),
        ({"label": "Negative", "risk_band": "high"}, []),
        ({"state": "completed", "needs_review": "true", "risk_band": "high"}, [high]),
    ]
    for asked, expected in wanted:
        assert ids(listed(house, **asked)) == [ref.job_id for ref in expected], asked


@pytest.mark.parametrize("zone", ["Z", "+02:00", ""])
def test_a_time_is_exact_and_utc_unless_it_says_otherwise(house: House, zone: str) -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC).timestamp()
    before, exactly, after = (stored_job(house.blobs, at + seconds) for seconds in (-0.5, 0, 0.5))
    said = f"2026-01-31T{'14' if zone == '+02:00' else '12'}:00:00{zone}"
    assert ids(listed(house, since=said)) == [after.job_id, exactly.job_id]
    assert ids(listed(house, until=said)) == [before.job_id]
    assert ids(listed(house, since=said, until=said)) == []
    assert ids(listed(house, since="0001-01-01T00:00:00Z", until="9999-12-31T23:59:59Z")) == [
        ref.job_id for ref in (after, exactly, before)
    ]


def test_a_long_search_is_cut_into_requests_that_end(house: House) -> None:
    at = time.time() - 5 * HOUR
    wanted = stored_job(house.blobs, at - 1)
    for number in range(_A_LONG_LOOK):
        stored_job(house.blobs, at + number / 100, state="failed")
    first = listed(house, state="completed", limit=5)
    assert (first["items"], first["next_cursor"] is None) == ([], False)
    assert rest(house, first, state="completed", limit=5) == [wanted.job_id]


def test_what_is_no_job_is_not_listed(house: House) -> None:
    kept, erased = house.accepted(images.png()), house.accepted(images.png())
    assert house.http.delete(f"/v1/jobs/{erased.job_id}").status_code == 204
    house.blobs.put(blob_path(erased, Blob.PREVIEW), b"a worker wrote it after all")
    house.blobs.put(blob_path(erased, Blob.RECORD), b"{}")
    house.blobs.put(blob_path(JobRef("default", new_job_id()), Blob.IMAGE), b"an upload that broke off")
    house.blobs.put(f"default/{blob_path(kept, Blob.IMAGE).split('/')[1]}/stray.txt", b"of nobody")
    assert ids(listed(house)) == [kept.job_id]


def test_a_tenant_sees_its_own_jobs_alone(guarded: Guarded) -> None:
    theirs, mine = guarded.key("theirs"), guarded.key("mine")
    ref = guarded.submit(theirs)
    complete(guarded.house, ref)
    empty = guarded.ask("GET", "/v1/jobs", mine)
    assert empty.json() == {"items": [], "next_cursor": None}
    cursor = {"cursor": new_job_id()}
    assert guarded.ask("GET", "/v1/jobs", mine, params=cursor).json() == empty.json()
    assert ids(guarded.ask("GET", "/v1/jobs", theirs).json()) == [ref.job_id]


def test_who_saw_what_is_recorded_once_a_page(guarded: Guarded) -> None:
    token = guarded.key("ward-7")
    waiting, read, done = (guarded.submit(token) for _ in range(3))
    settle_ml(guarded.house, read)
    complete(guarded.house, done)
    assert len(ids(guarded.ask("GET", "/v1/jobs", token).json())) == 3
    (seen,) = [event for event in events(guarded.house) if event["action"] != "submitted"]
    assert (seen["action"], seen["key"], seen["tenant"]) == ("listed", token.key_id, "ward-7")
    assert seen["jobs"] == [done.job_id, read.job_id]
    assert waiting.job_id not in seen["jobs"], "nothing is told of it"


def test_not_changed_is_neither_sent_nor_recorded(house: House) -> None:
    ref = house.accepted(images.png())
    settle_ml(house, ref)
    first = house.http.get("/v1/jobs")
    known = {"if-none-match": first.headers["etag"]}
    again = house.http.get("/v1/jobs", headers=known)
    assert (again.status_code, again.content, again.headers["cache-control"]) == (304, b"", "no-store")
    assert [event["action"] for event in events(house)] == ["submitted", "listed"]
    complete_rest(house, ref)
    assert house.http.get("/v1/jobs", headers=known).status_code == 200


def complete_rest(house: House, ref: JobRef) -> None:
    assert house.http.post(f"/v1/jobs/{ref.job_id}/cancel").status_code == 200


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"cursor": "nonsense"}, "bad_cursor"),
        ({"cursor": "job_" + "f" * 32}, "bad_cursor"),
        ({"limit": "0"}, "bad_parameter"),
        ({"limit": "101"}, "bad_parameter"),
        ({"state": "done"}, "bad_parameter"),
        ({"label": "positive"}, "bad_parameter"),
        ({"since": "yesterday"}, "bad_parameter"),
        ({"needs_review": "perhaps"}, "bad_parameter"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(house: House, asked: dict[str, str], code: str) -> None:
    assert_problem(house.http.get("/v1/jobs", params=asked), 422, code)
