"""The reaper gets waiting jobs going soon after the broker lost what it held, and in an outage piles up nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.fusion.reaper import Reaper
from services.fusion.settings import FusionSettings
from shared import queue
from shared.blob_store import BlobStore
from shared.names import JobRef, Key, Priority, Stage
from shared.queue import make_celery
from tests.support.jobs import Jobs
from tests.support.samples import SKIPPED
from tests.support.valkey import Server
from tests.support.waiting import wait_until

#: In real life some seconds.
_REPUBLISH_AFTER_S = 0.3
_JOBS = 40


@pytest.fixture
def broker() -> Iterator[Server]:
    """One that remembers nothing."""
    server = Server()
    server.start("--appendonly", "no", "--save", "")
    yield server
    server.remove()


@pytest.fixture
def jobs(make_jobs: Callable[..., Jobs]) -> Jobs:
    return make_jobs(republish_after_s=_REPUBLISH_AFTER_S)


@pytest.fixture
def settings(valkey: Server, broker: Server, tmp_path: Path) -> FusionSettings:
    return FusionSettings(
        redis_url=valkey.url,
        broker_url=broker.broker_url,
        blob_url=f"file://{tmp_path}",
        republish_after_s=_REPUBLISH_AFTER_S,
    )


@pytest.fixture
def reaper(settings: FusionSettings, jobs: Jobs) -> Reaper:
    return Reaper(make_celery(settings), settings, jobs.ledger, BlobStore.open(settings.blob_url))


@pytest.fixture
def waiting(jobs: Jobs) -> list[JobRef]:
    """Jobs that have waited for so long that their next look is an hour off; no message of theirs is anywhere."""
    refs = [jobs.create(gemini_skipped=SKIPPED) for _ in range(_JOBS)]
    then, later = jobs.now() - 60, jobs.now() + 3600
    with jobs.redis.pipeline() as pipe:
        for ref in refs:
            pipe.hset(Key.job(ref), mapping={"ml.published_at": then, "ml.look_at": later})
            pipe.zadd(Key.work(Stage.ML, Priority.ROUTINE), {str(ref): then})
            pipe.zadd(Key.DUE, {str(ref): later})
        pipe.execute()
    return refs


def messages(broker: Server) -> int:
    with broker.client() as client:
        return sum(client.llen(key) for key in client.scan_iter("ml*") if client.type(key) == "list")


def test_a_broker_that_came_back_empty_is_filled_again(
    jobs: Jobs, reaper: Reaper, broker: Server, waiting: list[JobRef]
) -> None:
    broker.stop(kill=True)
    assert not reaper.look()
    assert messages_published(jobs) == 0
    broker.start("--appendonly", "no", "--save", "")

    wait_until(lambda: not reaper.look() and messages(broker), what="the messages are there again")

    assert messages(broker) == messages_published(jobs) == len(waiting)
    for _ in range(20):  # nobody takes them up: that is no reason for more
        reaper.look()
    assert messages(broker) == messages_published(jobs) == len(waiting)


@pytest.mark.parametrize(("batch", "at_once"), [(_JOBS, True), (_JOBS + 1, False)])
def test_a_reaper_that_rescued_as_many_as_it_may_looks_again_at_once(
    settings: FusionSettings, jobs: Jobs, waiting: list[JobRef], batch: int, at_once: bool
) -> None:
    settings = settings.model_copy(update={"reaper_batch": batch})
    reaper = Reaper(make_celery(settings), settings, jobs.ledger, BlobStore.open(settings.blob_url))

    def rescues() -> str:
        again = reaper.look()
        return f"again: {again}" if messages_published(jobs) else ""

    assert wait_until(rescues, what="something is rescued") == f"again: {at_once}"
    assert messages_published(jobs) == len(waiting)


def test_a_message_that_a_worker_has_just_taken_is_not_lost(
    jobs: Jobs, reaper: Reaper, broker: Server, waiting: list[JobRef]
) -> None:
    """The end of a backlog: the queue is empty, and what it held last is on its way to its claim."""
    reaper.look()

    assert messages_published(jobs) == messages(broker) == 0
    for ref in waiting:
        jobs.claim(ref, Stage.ML)
    for _ in range(20):
        reaper.look()
    assert messages_published(jobs) == messages(broker) == 0


def test_without_a_long_wait_the_broker_is_left_alone(
    jobs: Jobs, reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("the broker was asked for its depths")

    monkeypatch.setattr(queue, "depths", asked)
    jobs.complete(jobs.fusable())
    reaper.look()


def messages_published(jobs: Jobs) -> int:
    """By the reaper, as the ledger counts them."""
    return jobs.ledger.counters().get("republished:ml", 0)
