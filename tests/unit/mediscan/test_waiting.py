"""Waiting for a job: held answers, answers at once, time running out; and a job's events over cut connections."""

from typing import Any

import pytest

import mediscan
from mediscan import calls, flows
from mediscan.replies import NoReply, Reply
from mediscan.sse import Event
from shared.contracts import JobView, Readiness, ReadyStatus
from shared.job_state import JobState
from shared.job_view import view as view_of
from tests.support.samples import fused_result
from tests.unit.mediscan.script import World, problem, shown
from tests.unit.shared.test_job_view import QUEUED

HELD = {"preference-applied": "wait=25"}
STREAM = Reply(200, {"content-type": "text/event-stream; charset=utf-8"})
CUT = NoReply("cut", may_have_arrived=True)


def job(state: JobState = JobState.RUNNING, version: int = 1) -> JobView:
    result = fused_result() if state is JobState.COMPLETED else None
    return view_of(QUEUED).model_copy(update={"state": state, "version": version, "result": result})


def unchanged(**headers: str) -> Reply:
    return Reply(304, {"etag": '"x"', **headers})


def wait(world: World, timeout_s: float = 100) -> JobView:
    return world.run(flows.until_over(flows.job("job_1"), timeout_s, world.patience))


def changes(world: World, timeout_s: float = 100) -> list[JobView]:
    return list(world.iterate(flows.changes(flows.job("job_1"), timeout_s, world.patience)))


def events(world: World, after: str = "") -> list[Event]:
    return list(world.iterate(flows.events("job_1", after, world.patience)))


def sent(number: int, kind: str = "queued") -> bytes:
    return f'id: {number}\nevent: {kind}\ndata: {{"n": {number}}}\n\n'.encode()


def test_a_server_that_holds_its_answer_is_asked_once() -> None:
    world = World((shown(job(JobState.COMPLETED), **HELD), 3.0))
    assert wait(world).state is JobState.COMPLETED
    assert world.calls[0].headers == {"Prefer": "wait=25"}
    assert sum(world.pauses) == 0


def test_a_wait_longer_than_the_servers_is_asked_for_again() -> None:
    world = World(
        (shown(job(), **HELD), 25.0), (shown(job(), **HELD), 25.0), (shown(job(JobState.FAILED)), 1.0)
    )
    assert wait(world).state is JobState.FAILED
    assert sum(world.pauses) == 0


def test_a_server_that_answers_at_once_sets_the_pace() -> None:
    poll = shown(job(), **{"retry-after": "2"})
    world = World(poll, poll, shown(job(JobState.COMPLETED)))
    wait(world)
    assert world.pauses == [2, 2]


def test_without_a_pace_ours_grows() -> None:
    world = World(*[shown(job())] * 3, shown(job(JobState.COMPLETED)))
    wait(world)
    assert world.pauses == [0.25, 0.5, 1]


def test_the_wait_ends_in_time_and_says_how_it_stands() -> None:
    world = World((shown(job(), **HELD), 25.0), (shown(job(version=2), **HELD), 5.0))
    with pytest.raises(mediscan.WaitTimeoutError) as caught:
        wait(world, timeout_s=30)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.last_seen.version == 2
    assert [call.wait_s for call in world.calls] == [25, 5]


def test_a_look_without_waiting() -> None:
    world = World(shown(job()))
    with pytest.raises(mediscan.WaitTimeoutError):
        wait(world, timeout_s=0)


def test_a_restarting_gateway_does_not_end_a_wait() -> None:
    down = NoReply("refused", may_have_arrived=False)
    world = World((shown(job(), **HELD), 25.0), CUT, down, down, shown(job(JobState.COMPLETED)))
    assert wait(world).state is JobState.COMPLETED


def test_a_server_that_stays_away_ends_it_in_time() -> None:
    world = World(*[CUT] * 20, retry_for_s=60)
    with pytest.raises(mediscan.UnreachableError):
        wait(world, timeout_s=5)
    assert world.now < 1000 + 5 + 6


def test_each_change_comes_once() -> None:
    world = World(
        shown(job(version=1)),
        (unchanged(**HELD), 25.0),
        (shown(job(version=2), **HELD), 1.0),
        (shown(job(JobState.COMPLETED, version=3), **HELD), 1.0),
    )
    assert [seen.version for seen in changes(world)] == [1, 2, 3]
    assert [call.headers.get("If-None-Match") for call in world.calls][1:] == [
        f'"{job().id}.1"',
        f'"{job().id}.1"',
        f'"{job().id}.2"',
    ]
    # The first look says how things stand, so nobody holds it, and the next is not a moment later.
    assert world.calls[0].wait_s == 0
    assert sum(world.pauses) == 0


def test_a_server_that_claims_to_hold_and_does_not_is_not_asked_without_end() -> None:
    world = World(shown(job()), *[unchanged(**HELD)] * 3, shown(job(JobState.COMPLETED, version=2)))
    changes(world)
    assert world.pauses[-3:] == [0.25, 0.5, 1]


def test_news_from_a_server_that_never_holds_are_no_reason_to_hurry() -> None:
    world = World(
        *[shown(job(version=version)) for version in (1, 2, 3)], shown(job(JobState.FAILED, version=4))
    )
    assert [seen.version for seen in changes(world)] == [1, 2, 3, 4]
    assert world.pauses == [0, 0.25, 0.5]


def test_events_come_in_order_and_end_with_the_last() -> None:
    world = World(STREAM, sent(1), sent(2) + sent(3, "completed") + sent(4))
    assert [(event.id, event.data["n"]) for event in events(world)] == [("1", 1), ("2", 2), ("3", 3)]


def test_a_cut_stream_goes_on_where_it_was() -> None:
    half = sent(3)[:9]
    world = World(STREAM, sent(1) + sent(2) + half, b"", CUT, problem(503), STREAM, sent(3, "failed"))
    assert [event.id for event in events(world)] == ["1", "2", "3"]
    assert [call.headers.get("Last-Event-ID") for call in world.calls] == [None, "2", "2", "2"]


def test_events_after_one_that_was_seen_in_another_life() -> None:
    world = World(STREAM, sent(8, "expired"))
    assert [event.id for event in events(world, after="7")] == ["8"]
    assert world.calls[0].headers["Last-Event-ID"] == "7"


def test_after_the_last_event_there_is_nothing() -> None:
    assert events(World(Reply(204, {})), after="7") == []


def test_a_long_quiet_stream_may_be_cut_as_often_as_it_likes() -> None:
    quiet: list[Any] = []
    for _ in range(10):
        quiet += [STREAM, (b": still here\n\n", 50.0), b""]
    assert [event.type for event in events(World(*quiet, STREAM, sent(1, "completed")))] == ["completed"]


def test_streams_that_end_at_once_are_given_up() -> None:
    world = World(*[STREAM, b""] * 12)
    with pytest.raises(mediscan.UnreachableError, match="keeps ending"):
        events(world)
    assert world.now <= 1060


@pytest.mark.parametrize(
    "answer", [problem(404, "unknown_job"), Reply(200, {"content-type": "text/html"}, b"<p>")]
)
def test_no_stream_is_an_error_at_once(answer: Reply) -> None:
    world = World(answer)
    with pytest.raises(mediscan.MediScanError):
        events(world)
    assert world.pauses == []


def test_a_list_goes_on_to_its_last_page() -> None:
    def page(version: int, cursor: str | None) -> Reply:
        items = f'{{"items": [{job(version=version).model_dump_json()}], "next_cursor": '
        return Reply(200, {}, (items + (f'"{cursor}"' if cursor else "null") + "}").encode())

    world = World(page(1, "c1"), page(2, None))
    listed = world.iterate(flows.pages({"needs_review": True, "state": "completed"}, 10, world.patience))
    assert [seen.version for seen in listed] == [1, 2]
    assert [dict(call.params) for call in world.calls] == [
        {"limit": "10", "state": "completed", "needs_review": "true"},
        {"limit": "10", "state": "completed", "needs_review": "true", "cursor": "c1"},
    ]


def test_readiness_is_an_answer_even_when_it_is_no() -> None:
    body = b'{"status": "unavailable", "missing": ["ledger"], "degraded": [], "workers": null}'
    world = World(Reply(503, {"retry-after": "1"}, body))
    found = world.run(flows.readiness(world.patience))
    assert isinstance(found, Readiness)
    assert found.missing == ("ledger",)
    world = World(Reply(200, {}, b'{"status": "degraded"}'))
    assert world.run(flows.readiness(world.patience)) == ReadyStatus(status="degraded")
    world = World(problem(500))
    with pytest.raises(mediscan.ServerError):
        world.run(flows.readiness(world.patience))


def test_ids_are_quoted_into_paths() -> None:
    assert calls.read("a/../b?c").path == "v1/jobs/a%2F..%2Fb%3Fc"
    for nothing in ("", ".", ".."):
        with pytest.raises(ValueError, match="an id may not be"):
            calls.delete(nothing)
