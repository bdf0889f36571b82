"""From the end of a job to the receiver: over a real ledger and a real blob store, checked by the reference library."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook as Reference
from standardwebhooks.webhooks import WebhookVerificationError

from services.fusion import reaper
from services.fusion.archive import archive
from services.fusion.settings import FusionSettings
from services.fusion.webhooks.courier import Courier
from services.fusion.webhooks.ladder import PAUSES_S
from shared.blob_store import BlobStore
from shared.contracts import DeliveryOutcome, DeliveryState, WebhookEvent
from shared.job_state import TERMINAL, JobState
from shared.ledger import Webhook
from shared.names import JobRef, Key
from shared.webhooks.log import kept
from shared.webhooks.secrets import WebhookSecret, WebhookSecrets, new_secret
from tests.support.jobs import Jobs
from tests.support.receiver import Received, Receiver, answers, cuts, hangs
from tests.support.samples import new_token
from tests.support.valkey import Server
from tests.support.waiting import wait_until

EVERY_EVENT = tuple(WebhookEvent)


class House:
    """A courier with its ledger, blob store and secrets."""

    def __init__(self, jobs: Jobs, folder: Path, redis_url: str) -> None:
        self.jobs = jobs
        self.blob_url = f"file://{folder}"
        self.blobs = BlobStore.open(self.blob_url)
        self.secrets = WebhookSecrets(self.blobs)
        self.secrets.save(new_secret("default"))
        self.settings = FusionSettings(webhook_http_loopback=True, webhook_timeout_s=5, reaper_interval_s=0.1)
        self.redis_url = SecretStr(redis_url)
        self.courier = self.another()

    def another(self) -> Courier:
        """A second reaper, or the one after a crash."""
        return Courier(self.settings, self.jobs.ledger, self.blobs)

    def ended(self, url: str, state: JobState = JobState.CANCELLED, *events: WebhookEvent) -> JobRef:
        """A job that asked to be told, and is over."""
        made, create = [], self.jobs.create

        def asking(**changed: object) -> JobRef:
            made.append(create(webhook=Webhook(url, events or EVERY_EVENT), **changed))
            return made[-1]

        self.jobs.create = asking  # type: ignore[method-assign]
        try:
            return self.jobs.ended(state)
        finally:
            self.jobs.create = create  # type: ignore[method-assign]

    def due_now(self, ref: JobRef) -> None:
        """Time passes: the pause, or a dead courier's lease, is over."""
        self.jobs.redis.zadd(Key.DELIVERIES, {str(ref): self.jobs.now() - 1}, xx=True)

    def verified(self, received: Received, secret: WebhookSecret | None = None) -> dict[str, object]:
        """The body, once the reference library has checked the signature."""
        chosen = secret or self.secrets.valid("default")[0]
        found = Reference(chosen.secret.get_secret_value()).verify(received.body, received.headers)
        assert isinstance(found, dict)
        return found

    def is_forgotten(self, ref: JobRef) -> bool:
        """Whether the ledger knows nothing of the delivery any more."""
        return not self.jobs.redis.exists(Key.delivery(ref)) and not self.jobs.ledger.deliveries.due(10)


@pytest.fixture
def house(jobs: Jobs, tmp_path: Path, valkey: Server) -> House:
    return House(jobs, tmp_path / "blobs", valkey.url)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_every_end_is_told_once_signed_and_logged(house: House, state: JobState) -> None:
    with Receiver() as receiver:
        ref = house.ended(receiver.url, state)
        house.courier.deliver(ref)
        house.courier.deliver(ref)
        (received,) = receiver.received
    told = house.verified(received)
    assert told["type"] == f"job.{state}"
    data = told["data"]
    assert isinstance(data, dict)
    assert (data["id"], data["state"]) == (ref.job_id, state)
    assert data["links"]["self"] == f"/v1/jobs/{ref.job_id}"
    log = kept(house.blobs, ref)
    assert log is not None
    assert (log.delivery.state, log.delivery.id) == (DeliveryState.DELIVERED, received.headers["webhook-id"])
    assert [(one.outcome, one.status) for one in log.delivery.attempts] == [(DeliveryOutcome.DELIVERED, 204)]
    assert house.is_forgotten(ref)


def test_nobody_is_told_of_what_he_did_not_ask_for(house: House) -> None:
    for ref in (
        house.jobs.ended(JobState.COMPLETED),
        house.ended("https://x.example/", JobState.CANCELLED, WebhookEvent.FAILED),
    ):
        assert house.is_forgotten(ref)


def test_nothing_about_the_patient_leaves_the_house(house: House) -> None:
    with Receiver() as receiver:
        create = house.jobs.create
        ref = create(webhook=Webhook(receiver.url, EVERY_EVENT), metadata={"name": "Jane Planted"})
        house.jobs.ledger.cancel(ref)
        house.courier.deliver(ref)
        (received,) = receiver.received
    assert "Planted" not in json.dumps(received.headers) + received.body.decode()


def test_while_a_secret_is_rotated_either_one_verifies(house: House) -> None:
    (old,) = house.secrets.valid("default")
    new = new_secret("default")
    house.secrets.save(new)
    with Receiver() as receiver:
        house.courier.deliver(house.ended(receiver.url))
        (received,) = receiver.received
    assert house.verified(received, old) == house.verified(received, new)
    with pytest.raises(WebhookVerificationError):
        house.verified(received, new_secret("default"))


def test_a_failure_is_tried_again_with_the_same_id_until_it_is_heard(house: House) -> None:
    with Receiver(answers(500), cuts, answers(302), answers(200)) as receiver:
        ref = house.ended(receiver.url)
        for _ in range(4):
            house.courier.deliver(ref)
            house.due_now(ref)
        ids = {one.headers["webhook-id"] for one in receiver.received}
        bodies = {one.body for one in receiver.received}
    assert (len(ids), len(bodies), len(receiver.received)) == (1, 1, 4)
    log = kept(house.blobs, ref)
    assert log is not None
    assert [one.outcome for one in log.delivery.attempts] == [
        "rejected",
        "connection",
        "redirected",
        "delivered",
    ]


def test_after_a_failure_it_is_not_due_before_its_pause_is_over(house: House) -> None:
    with Receiver(answers(503, "Retry-After: 600")) as receiver:
        ref = house.ended(receiver.url)
        house.courier.deliver(ref)
        house.courier.deliver(ref)
        assert len(receiver.received) == 1
    due = house.jobs.redis.zscore(Key.DELIVERIES, str(ref))
    assert due is not None
    assert due - house.jobs.now() > 500
    held = house.jobs.ledger.deliveries.read(ref)
    assert held is not None
    assert held.delivery.next_attempt_at is not None


def test_it_is_given_up_after_the_last_pause(house: House) -> None:
    with Receiver(answers(500)) as receiver:
        ref = house.ended(receiver.url)
        for _ in range(len(PAUSES_S) + 3):
            house.courier.deliver(ref)
            house.due_now(ref)
        assert len(receiver.received) == len(PAUSES_S) + 1
    log = kept(house.blobs, ref)
    assert log is not None
    assert (log.delivery.state, log.delivery.next_attempt_at) == (DeliveryState.FAILED, None)
    assert house.is_forgotten(ref)


def test_a_receiver_that_is_gone_is_left_alone(house: House) -> None:
    with Receiver(answers(410)) as receiver:
        ref = house.ended(receiver.url)
        house.courier.deliver(ref)
        house.due_now(ref)
        house.courier.deliver(ref)
        assert len(receiver.received) == 1
    assert house.is_forgotten(ref)


def test_a_courier_that_died_between_sending_and_recording_is_followed_by_another(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DiedError(Exception):
        pass

    def die(*_: object) -> bool:
        raise DiedError

    with Receiver() as receiver:
        ref = house.ended(receiver.url)
        with monkeypatch.context() as patched:
            patched.setattr(house.jobs.ledger.deliveries, "record", die)
            with pytest.raises(DiedError):
                house.courier.deliver(ref)
        house.another().deliver(ref)
        assert len(receiver.received) == 1  # the lease of the dead one still runs
        house.due_now(ref)
        house.another().deliver(ref)
        first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert house.is_forgotten(ref)


def test_a_courier_that_died_before_the_log_was_kept_sends_nothing_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as receiver:
        ref = house.ended(receiver.url)
        with monkeypatch.context() as patched:
            patched.setattr(house.courier, "_archive", lambda _ref: None)
            house.courier.deliver(ref)
        house.another().deliver(ref)
        assert len(receiver.received) == 1
    assert kept(house.blobs, ref) is not None
    assert house.is_forgotten(ref)


def test_one_that_comes_late_with_its_record_changes_nothing(house: House) -> None:
    with Receiver(answers(500)) as receiver:
        ref = house.ended(receiver.url)
        deliveries, slow = house.jobs.ledger.deliveries, new_token()
        assert deliveries.claim(ref, token=slow, lease_s=60)
        house.due_now(ref)
        house.courier.deliver(ref)
        held = deliveries.read(ref)
        assert held is not None
        assert not deliveries.record(ref, slow, held.delivery.attempts[0], DeliveryState.DELIVERED, 0)
        assert deliveries.read(ref) == held


def test_two_couriers_do_not_both_send(house: House) -> None:
    with Receiver() as receiver:
        ref = house.ended(receiver.url)
        others = [threading.Thread(target=house.another().deliver, args=(ref,)) for _ in range(4)]
        for other in others:
            other.start()
        for other in others:
            other.join(30)
        assert len(receiver.received) == 1


def test_what_is_due_survives_a_crash_of_the_ledger(house: House, valkey: Server) -> None:
    with Receiver() as receiver:
        ref = house.ended(receiver.url)
        valkey.restart(kill=True)
        house.courier.deliver(ref)
        assert len(receiver.received) == 1


def test_without_a_secret_nothing_is_sent(house: House, tmp_path: Path) -> None:
    house.blobs.delete(*house.blobs.paths("_webhooks"))
    with Receiver() as receiver:
        ref = house.ended(receiver.url)
        house.courier.deliver(ref)
        assert receiver.connections == 0
    held = house.jobs.ledger.deliveries.read(ref)
    assert held is not None
    assert [one.outcome for one in held.delivery.attempts] == [DeliveryOutcome.UNSIGNED]


def test_an_archived_job_is_told_of_and_a_deleted_one_is_not(house: House) -> None:
    with Receiver() as receiver:
        ref, gone = house.ended(receiver.url), house.ended(receiver.url)
        archive(house.jobs.record(ref), house.jobs.ledger, house.blobs)
        house.jobs.redis.delete(Key.job(ref), Key.job(gone))
        house.courier.deliver(ref)
        house.courier.deliver(gone)
        assert [json.loads(one.body)["data"]["id"] for one in receiver.received] == [ref.job_id]
    assert house.is_forgotten(gone)
    assert kept(house.blobs, gone) is None


@pytest.fixture
def running(house: House) -> Iterator[Callable[[], None]]:
    stop = threading.Event()
    thread = threading.Thread(target=house.courier.run, args=(stop,))

    yield thread.start
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


def test_a_slow_receiver_holds_up_nobody_else(house: House, running: Callable[[], None]) -> None:
    with Receiver(hangs) as slow, Receiver() as quick:
        house.ended(slow.url)
        refs = [house.ended(quick.url) for _ in range(5)]
        running()
        wait_until(lambda: len(quick.received) == len(refs), timeout_s=30, what="all others are told")
        wait_until(lambda: all(kept(house.blobs, ref) for ref in refs), timeout_s=30, what="all is logged")


def test_a_courier_that_fails_ends_the_reaper_too_which_is_then_started_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_limit: int) -> list[JobRef]:
        raise RuntimeError

    monkeypatch.setattr(house.jobs.ledger.deliveries, "due", break_down)
    stop = threading.Event()
    with pytest.raises(RuntimeError):
        house.courier.run(stop)
    assert stop.is_set()


def test_a_reaper_that_fails_does_not_live_on_as_a_courier(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_reaper: reaper.Reaper) -> bool:
        raise RuntimeError

    monkeypatch.setattr(reaper.Reaper, "look", break_down)
    monkeypatch.setattr("services.fusion.reaper.queue.check", lambda _app, *_stages: None)
    monkeypatch.setattr("services.fusion.reaper.signal.signal", lambda *_: None)
    with pytest.raises(RuntimeError):
        reaper.run(
            Celery(),
            house.settings.model_copy(update={"redis_url": house.redis_url, "blob_url": house.blob_url}),
        )
    assert not [thread for thread in threading.enumerate() if thread.name == "courier"]
