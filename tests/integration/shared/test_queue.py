"""What travels through the broker, in which order, and what happens when it is away."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from celery import Celery

from shared import queue
from shared.errors import BrokerUnavailableError
from shared.names import TASK_OF_STAGE, JobRef, Priority, Stage
from shared.settings import Settings
from tests.chaos.proxy import Proxy
from tests.support.samples import new_ref
from tests.support.valkey import Server


def make_app(broker_url: str) -> Iterator[Celery]:
    app = queue.make_celery(Settings(broker_url=broker_url))
    yield app
    app.close()


@pytest.fixture
def app(valkey: Server) -> Iterator[Celery]:
    """Celery on the test's server."""
    yield from make_app(valkey.broker_url)


def consumed(app: Celery, stage: Stage, count: int) -> list[Any]:
    """The next `count` messages of a stage's queue, popped by a real kombu consumer."""
    messages: list[Any] = []
    with (
        app.connection_for_read() as connection,
        connection.Consumer([app.amqp.queues[stage]], on_message=messages.append, no_ack=True),
    ):
        while len(messages) < count:
            connection.drain_events(timeout=5)
    return messages


def job_of(message: Any) -> JobRef:
    return JobRef.parse(json.loads(message.body)[0][0])


# --- what travels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", Stage)
def test_a_message_holds_the_job_reference_and_nothing_else(app: Celery, stage: Stage) -> None:
    ref = new_ref()

    queue.publish(app, ref, stage, Priority.ROUTINE)

    [message] = consumed(app, stage, 1)
    args, kwargs, embedded = json.loads(message.body)
    assert (args, kwargs) == ([str(ref)], {})
    assert not any(embedded.values())
    assert message.content_type == "application/json"
    assert message.headers["task"] == TASK_OF_STAGE[stage]


def test_a_message_is_in_its_stage_queue_only(app: Celery) -> None:
    queue.publish(app, new_ref(), Stage.GEMINI, Priority.ROUTINE)

    assert {stage: queue.depth(app, stage) for stage in Stage} == {
        Stage.ML: 0,
        Stage.GEMINI: 1,
        Stage.FUSION: 0,
    }


# --- in which order ---------------------------------------------------------------------------------------


def test_routine_jobs_come_in_order_of_arrival(app: Celery) -> None:
    refs = [new_ref() for _ in range(5)]
    for ref in refs:
        queue.publish(app, ref, Stage.ML, Priority.ROUTINE)

    assert [job_of(message) for message in consumed(app, Stage.ML, 5)] == refs


def test_a_stat_job_overtakes_every_waiting_routine_job(app: Celery) -> None:
    routine, stat = [new_ref() for _ in range(5)], new_ref()
    for ref in routine:
        queue.publish(app, ref, Stage.ML, Priority.ROUTINE)
    queue.publish(app, stat, Stage.ML, Priority.STAT)

    assert [job_of(message) for message in consumed(app, Stage.ML, 6)] == [stat, *routine]


# --- how many ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", Stage)
def test_a_queue_that_nobody_has_used_is_empty(app: Celery, stage: Stage) -> None:
    assert queue.depth(app, stage) == 0


def test_depth_counts_both_priorities(app: Celery) -> None:
    for priority in (Priority.STAT, Priority.ROUTINE, Priority.ROUTINE):
        queue.publish(app, new_ref(), Stage.ML, priority)

    assert queue.depth(app, Stage.ML) == 3


def test_a_drained_queue_is_empty_and_leaves_nothing_behind(app: Celery, valkey: Server) -> None:
    queue.publish(app, new_ref(), Stage.ML, Priority.STAT)
    consumed(app, Stage.ML, 1)

    assert queue.depth(app, Stage.ML) == 0
    with valkey.client() as client:
        assert [key for key in client.scan_iter() if not key.startswith("_kombu.binding")] == []


# --- away -------------------------------------------------------------------------------------------------


@pytest.fixture
def no_broker() -> Iterator[Celery]:
    """Celery on a TCP port that is ours and on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield from make_app(f"redis://127.0.0.1:{held.getsockname()[1]}/0")


def test_publishing_without_a_broker_gives_up_soon(no_broker: Celery) -> None:
    began = time.monotonic()

    with pytest.raises(BrokerUnavailableError):
        queue.publish(no_broker, new_ref(), Stage.ML, Priority.ROUTINE)

    assert time.monotonic() - began < 3


def test_depth_without_a_broker_gives_up_soon(no_broker: Celery) -> None:
    began = time.monotonic()

    with pytest.raises(BrokerUnavailableError):
        queue.depth(no_broker, Stage.ML)

    assert time.monotonic() - began < 3


def test_publishing_to_a_broker_that_went_away_and_came_back(app: Celery, valkey: Server) -> None:
    queue.publish(app, new_ref(), Stage.ML, Priority.ROUTINE)
    valkey.stop(kill=True)
    with pytest.raises(BrokerUnavailableError):
        queue.publish(app, new_ref(), Stage.ML, Priority.ROUTINE)
    valkey.start()

    queue.publish(app, new_ref(), Stage.FUSION, Priority.ROUTINE)

    assert queue.depth(app, Stage.FUSION) == 1


def test_a_broker_out_of_memory_is_unavailable(app: Celery, valkey: Server) -> None:
    with valkey.client() as client:
        client.config_set("maxmemory", 1)

    with pytest.raises(BrokerUnavailableError):
        queue.publish(app, new_ref(), Stage.ML, Priority.ROUTINE)


# --- full, or cut off in the middle -----------------------------------------------------------------------


def test_a_broker_that_comes_back_full_is_unavailable_until_there_is_room(
    app: Celery, valkey: Server
) -> None:
    queue.publish(app, new_ref(), Stage.ML, Priority.ROUTINE)
    valkey.restart(kill=True)
    with valkey.client() as client:
        client.config_set("maxmemory", 1)
        for _ in range(5):
            with pytest.raises(BrokerUnavailableError):
                queue.publish(app, new_ref(), Stage.ML, Priority.ROUTINE)
        client.config_set("maxmemory", 0)
    queue.publish(app, new_ref(), Stage.ML, Priority.ROUTINE)
    assert queue.depth(app, Stage.ML) >= 1


@pytest.mark.parametrize("first", range(6, 11))
def test_a_broker_that_loses_two_answers_costs_one_message_at_most(valkey: Server, first: int) -> None:
    with Proxy(valkey.socket) as wire, contextmanager(make_app)(f"redis+socket://{wire.socket}") as app:
        wire.lost_numbers = (first, first + 1)  # while kombu declares the queue, and when it tries again
        with suppress(BrokerUnavailableError):
            queue.publish(app, new_ref(), Stage.ML, Priority.ROUTINE)
        queue.publish(app, new_ref(), Stage.ML, Priority.ROUTINE)
        assert queue.depth(app, Stage.ML) >= 1
