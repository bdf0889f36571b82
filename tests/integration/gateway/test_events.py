"""A job's event stream at a real gateway; the test plays the workers."""

from collections.abc import Iterator

import httpx
import pytest

from mediscan.sse import EventReader
from shared.audit.event import AuditAction
from shared.job_state import JobState
from shared.names import Key, Stage
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.integration.gateway.test_follow import complete, forget, settle_ml
from tests.support.event_stream import LONG_S, Stream
from tests.support.jobs import Jobs
from tests.support.samples import (
    PROBLEM,
    RATE_LIMITED,
    UNREADABLE,
    fused_result,
    gemini_reading,
    ml_reading,
    new_token,
)
from tests.support.waiting import wait_until
from tests.unit.gateway import images

_ML_ONLY = ["queued", "gemini.skipped", "ml.started", "ml.done", "fusion.started", "completed"]


@pytest.fixture(scope="module")
def _patient_process() -> Iterator[House]:
    """Looks for changes that it was not told of only after the test is over: what comes, comes by a notice."""
    with House(wait_look_s=3600, gemini_enabled=True) as house:
        yield house


@pytest.fixture
def house(_patient_process: House) -> House:
    _patient_process.reset()
    return _patient_process


def jobs(house: House) -> Jobs:
    return Jobs(house.ledger, house.ledger_server.client())


# --- the order of events ----------------------------------------------------------------------------------


def test_each_step_comes_when_it_happens(house: House) -> None:
    ref = house.accepted(images.png())
    stream, work = Stream(house.url, ref.job_id), jobs(house)
    stream.saw("queued")
    ml = work.claim(ref, Stage.ML)
    stream.saw("ml.started")
    gemini = work.claim(ref, Stage.GEMINI)
    stream.saw("gemini.started")
    work.ledger.settle(ml, ml_reading())
    stream.saw("ml.done")
    work.ledger.settle(gemini, gemini_reading())
    stream.saw("gemini.done")
    fusion = work.claim(ref, Stage.FUSION)
    stream.saw("fusion.started")
    work.ledger.complete(fusion, fused_result())
    steps = "queued ml.started gemini.started ml.done gemini.done fusion.started completed"
    assert stream.ended() == steps.split()
    assert [event.id for event in stream.events] == sorted({event.id for event in stream.events})
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["x-accel-buffering"] == "no"


def test_a_second_reading_that_does_not_come_says_why(house: House) -> None:
    ref = house.accepted(images.png())
    stream, work = Stream(house.url, ref.job_id), jobs(house)
    work.settle(ref, Stage.ML)
    work.ledger.settle(work.claim(ref, Stage.GEMINI), RATE_LIMITED)
    work.complete(ref)
    stream.ended()
    said = {event.type: event.data for event in stream.events}
    assert said["gemini.unavailable"] == {"reason": "rate_limited"}
    assert said["ml.done"]["label"] == "Positive"
    assert "gemini.done" not in said


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED])
def test_a_job_that_ends_without_a_result_says_how(house: House, state: JobState) -> None:
    ref = house.accepted(images.png())
    stream, work = Stream(house.url, ref.job_id), jobs(house)
    claim = work.claim(ref, Stage.ML)
    stream.saw("ml.started")
    if state is JobState.FAILED:
        assert work.ledger.fail(claim, PROBLEM, UNREADABLE)
    elif state is JobState.CANCELLED:
        work.ledger.cancel(ref)
    else:
        work.long_ago(ref, "deadline_at")
        work.reap(ref)
    assert stream.ended() == ["queued", "ml.started", state]
    assert stream.events[-1].data == {"state": state}


def test_a_second_delivery_is_no_second_start(house: House) -> None:
    ref = house.accepted(images.png())
    stream, work = Stream(house.url, ref.job_id), jobs(house)
    work.claim(ref, Stage.ML)
    stream.saw("ml.started")
    work.long_ago(ref, "ml.lease_until")
    work.reap(ref)
    work.settle(ref, Stage.ML)
    work.settle(ref, Stage.GEMINI)
    work.complete(ref)
    assert stream.ended().count("ml.started") == 1


# --- cut connections --------------------------------------------------------------------------------------


def test_what_came_while_nobody_listened_is_replayed(house: House) -> None:
    ref = house.accepted(images.png())
    first, work = Stream(house.url, ref.job_id), jobs(house)
    first.saw("queued")
    first.cut_at_the_next_event()
    work.settle(ref, Stage.ML)
    first.ended()
    work.settle(ref, Stage.GEMINI)
    work.complete(ref)
    second = Stream(house.url, ref.job_id, after=first.events[-1].id)
    everything = first.types + second.ended()
    assert sorted(everything) == sorted(Stream(house.url, ref.job_id).ended())
    assert everything[-1] == "completed"


@pytest.mark.parametrize("is_archived", [False, True])
def test_a_job_that_is_over_is_told_whole_and_then_there_is_nothing(
    house: House, *, is_archived: bool
) -> None:
    ref = house.accepted(images.png())
    jobs(house).settle(ref, Stage.GEMINI)
    complete(house, ref)
    if is_archived:
        forget(house, ref)
    stream = Stream(house.url, ref.job_id)
    assert stream.ended()[-1] == "completed"
    again = house.http.get(f"/v1/jobs/{ref.job_id}/events", headers={"Last-Event-ID": stream.events[-1].id})
    assert (again.status_code, again.content) == (204, b""), "so that a browser does not come again"


def test_a_stream_outlives_its_connection_to_the_ledger_and_the_ledger(house: House) -> None:
    ref = house.accepted(images.png())
    stream, work = Stream(house.url, ref.job_id), jobs(house)
    stream.saw("queued")
    with house.ledger_server.client() as client:
        assert client.client_kill_filter(_type="pubsub") == 1
    work.settle(ref, Stage.ML)
    stream.saw("ml.done")
    house.ledger_server.restart(kill=True)
    jobs(house).settle(ref, Stage.GEMINI)
    stream.saw("gemini.done")
    jobs(house).complete(ref)
    assert stream.ended()[-1] == "completed"


def test_a_slow_reader_misses_nothing(house: House) -> None:
    ref = house.accepted(images.png())
    work = jobs(house)
    with httpx.stream("GET", f"{house.url}/v1/jobs/{ref.job_id}/events", timeout=LONG_S) as answer:
        work.settle(ref, Stage.ML)
        work.settle(ref, Stage.GEMINI)
        work.complete(ref)
        reader = EventReader()
        found = [event.type for piece in answer.iter_raw(7) for event in reader.feed(piece)]
    assert (found[0], found[-1]) == ("queued", "completed")
    assert len(found) == 7


def test_who_hangs_up_holds_nothing(house: House) -> None:
    ref = house.accepted(images.png())

    def subscribers() -> int:
        with house.ledger_server.client() as client:
            ((_, count),) = client.pubsub_numsub(Key.changes(ref))
            return int(count)

    with httpx.stream("GET", f"{house.url}/v1/jobs/{ref.job_id}/events", timeout=LONG_S) as answer:
        assert answer.status_code == 200
        wait_until(subscribers, what="the gateway listens")
    wait_until(lambda: not subscribers(), what="the gateway stops listening")


# --- bounds -----------------------------------------------------------------------------------------------


def test_a_quiet_stream_says_that_it_lives_and_ends_in_time() -> None:
    with House(stream_heartbeat_s=0.1, max_stream_s=2) as house:
        ref = house.accepted(images.png())
        stream = Stream(house.url, ref.job_id)
        assert stream.ended() == ["queued", "gemini.skipped"]
        assert stream.comments >= 2
        complete(house, ref)
        again = Stream(house.url, ref.job_id, after=stream.events[-1].id)
        assert stream.types + again.ended() == _ML_ONLY


def test_a_stream_is_a_wait_among_those_that_a_tenant_may_hold() -> None:
    with House(max_waits_per_tenant=1) as house:
        ref = house.accepted(images.png())
        stream = Stream(house.url, ref.job_id)
        stream.saw("queued")
        refused = house.http.get(f"/v1/jobs/{ref.job_id}/events")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_waits")
        assert refused.headers["content-type"] == "application/problem+json"
        house.process.terminate()
        assert stream.ended() == ["queued", "gemini.skipped"], "a gateway that stops ends its streams"
        assert house.process.wait(20) == 0


# --- whose job it is --------------------------------------------------------------------------------------


def test_a_reading_that_a_stream_tells_is_a_read_of_the_job(guarded: Guarded) -> None:
    key = guarded.key()
    ref = guarded.submit(key)

    def reads() -> int:
        with guarded.house.ledger_server.client() as client:
            return sum(AuditAction.READ in line for line in client.lrange(Key.AUDIT, 0, -1))

    stream = Stream(guarded.house.url, ref.job_id, Authorization=f"Bearer {key.text}")
    stream.saw("queued")
    assert reads() == 0
    settle_ml(guarded.house, ref)
    stream.saw("ml.done")
    assert reads() == 1
    claim = guarded.house.ledger.claim(ref, Stage.FUSION, token=new_token())
    assert claim
    guarded.house.ledger.complete(claim, fused_result())
    assert stream.ended() == _ML_ONLY
    assert reads() == 1
