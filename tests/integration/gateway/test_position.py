"""The place in line of a job that waits, and how long that may take. The test plays the workers."""

import json
from typing import Any

import httpx

from shared.names import JobRef, Key, Stage
from tests.integration.gateway.process import House
from tests.integration.gateway.test_follow import complete, settle_ml
from tests.support.samples import new_token
from tests.unit.gateway import images


def place(house: House, ref: JobRef) -> int | None:
    queue = house.job(ref)["queue"]
    return queue["position"] if queue else None


def claim(house: House, ref: JobRef) -> None:
    assert house.ledger.claim(ref, Stage.ML, token=new_token())


def queued_event(house: House, ref: JobRef) -> dict[str, Any]:
    with house.http.stream("GET", f"/v1/jobs/{ref.job_id}/events") as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                return dict(json.loads(line.removeprefix("data:")))
    raise AssertionError("no event came")


def test_the_place_moves_up_as_others_are_taken_up_or_called_off(house: House) -> None:
    first, second, third, fourth = (house.accepted(images.png()) for _ in range(4))
    assert [place(house, ref) for ref in (first, second, third, fourth)] == [1, 2, 3, 4]
    claim(house, first)
    assert [place(house, ref) for ref in (first, second, third, fourth)] == [None, 1, 2, 3]
    house.http.post(f"/v1/jobs/{second.job_id}/cancel")
    assert [place(house, ref) for ref in (second, third, fourth)] == [None, 1, 2]


def test_who_waited_for_news_is_told_the_place_too(house: House) -> None:
    url = f"/v1/jobs/{house.accepted(images.png()).job_id}"
    at_once = house.http.get(url)
    waited = house.http.get(url, params={"wait": 5}, headers={"If-None-Match": '"another"'})
    assert waited.json()["queue"]["position"] == 1
    assert waited.headers["etag"] == at_once.headers["etag"]


def test_stat_goes_ahead_of_every_routine_job_and_of_no_stat_job(house: House) -> None:
    routine = house.accepted(images.png())
    stats = [house.accepted(images.png(), priority="stat") for _ in range(2)]
    assert [place(house, ref) for ref in (*stats, routine)] == [1, 2, 3]
    claim(house, stats[0])
    assert [place(house, ref) for ref in (stats[1], routine)] == [1, 2]


def test_the_wait_is_estimated_by_what_ended_in_the_last_minute(house: House) -> None:
    done, *waiting = (house.accepted(images.png()) for _ in range(3))
    assert house.job(waiting[0])["queue"]["estimated_wait_s"] is None
    complete(house, done)
    assert [house.job(ref)["queue"]["estimated_wait_s"] for ref in waiting] == [60, 120]


def test_a_job_that_is_tried_again_after_a_lost_worker_has_no_place(house: House) -> None:
    ref = house.accepted(images.png())
    token = new_token()
    assert house.ledger.claim(ref, Stage.ML, token=token)
    house.ledger.release_lost(ref, Stage.ML, token)
    assert (house.job(ref)["readings"]["ml"]["state"], place(house, ref)) == ("pending", None)


def test_the_event_tells_the_place_for_as_long_as_there_is_one(house: House) -> None:
    house.accepted(images.png())
    ref = house.accepted(images.png())
    assert queued_event(house, ref) == {"position": 2, "estimated_wait_s": None}
    claim(house, ref)
    assert queued_event(house, ref) == {}


def test_the_etag_is_weak_while_the_place_may_move(house: House) -> None:
    first, second = (house.accepted(images.png()) for _ in range(2))
    before = ask(house, second)
    claim(house, first)
    after = ask(house, second)
    assert before.content != after.content
    assert before.headers["etag"] == after.headers["etag"]
    assert before.headers["etag"].startswith("W/")
    assert ask(house, second, {"if-none-match": before.headers["etag"]}).status_code == 304
    settle_ml(house, second)
    assert not ask(house, second).headers["etag"].startswith("W/")


def ask(house: House, ref: JobRef, headers: dict[str, str] | None = None) -> httpx.Response:
    return house.http.get(f"/v1/jobs/{ref.job_id}", headers=headers)


def test_the_place_costs_the_same_in_a_long_line(house: House) -> None:
    refs = [house.accepted(images.png())]
    short = commands(house, refs[0])
    with house.ledger_server.client() as client:
        line = {f"default/job_{number:032x}": number for number in range(1, 20_001)}
        client.zadd(Key.work(Stage.ML, house.ledger.read(refs[0]).priority), line)  # type: ignore[union-attr]
    assert place(house, refs[0]) == 20_001
    assert commands(house, refs[0]) == short


def commands(house: House, ref: JobRef) -> dict[str, int]:
    """What one look at a job has the ledger do."""
    with house.ledger_server.client() as client:
        client.config_resetstat()
        house.job(ref)
        found: Any = client.info("commandstats")
        return {
            name: one["calls"] for name, one in found.items() if name.startswith(("cmdstat_z", "cmdstat_hg"))
        }
