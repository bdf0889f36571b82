"""Submissions that ask to be told of a job's end, and what can be read of the deliveries."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from services.fusion.webhooks.message import payload
from services.fusion.webhooks.signing import signed_headers
from shared.contracts import (
    Delivery,
    DeliveryAttempt,
    DeliveryOutcome,
    DeliveryPage,
    DeliveryState,
    WebhookEvent,
)
from shared.job_view import view
from shared.names import JobRef, Key
from shared.webhooks.log import StoredDelivery, keep
from shared.webhooks.secrets import WebhookSecrets, new_secret
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.support.samples import new_token
from tests.unit.gateway import images

URL = "https://hooks.example.org/mediscan?token=planted"


TOKEN = new_token()


@pytest.fixture
def signing(house: House) -> House:
    """A gateway whose tenant has a secret."""
    WebhookSecrets(house.blobs).save(new_secret("default"))
    return house


def deliveries(house: House, ref: JobRef) -> DeliveryPage:
    answer = house.http.get(f"/v1/jobs/{ref.job_id}/deliveries")
    assert answer.status_code == 200, answer.text
    return DeliveryPage.model_validate_json(answer.content)


def test_what_was_asked_for_is_recorded_and_due_once_the_job_is_over(signing: House) -> None:
    ref = signing.accepted(images.png(), webhook_url=URL, webhook_events="job.cancelled,job.failed")
    assert deliveries(signing, ref).items == ()
    assert signing.http.post(f"/v1/jobs/{ref.job_id}/cancel").status_code == 200
    (delivery,) = deliveries(signing, ref).items
    assert (delivery.event, delivery.state) == (WebhookEvent.CANCELLED, DeliveryState.PENDING)
    assert delivery.attempts == ()
    assert delivery.next_attempt_at is not None
    with signing.ledger_server.client() as client:
        assert client.hget(Key.delivery(ref), "url") == URL
        assert client.zrange(Key.DELIVERIES, 0, -1) == [str(ref)]


def test_an_end_that_nobody_asked_for_is_told_nobody(signing: House) -> None:
    ref = signing.accepted(images.png(), webhook_url=URL, webhook_events="job.completed")
    signing.http.post(f"/v1/jobs/{ref.job_id}/cancel")
    assert deliveries(signing, ref).items == ()


def test_the_log_of_an_ended_delivery_is_read_from_the_blob_store(signing: House) -> None:
    ref = signing.accepted(images.png())
    attempt = DeliveryAttempt(
        at=datetime.now(UTC), outcome=DeliveryOutcome.REJECTED, status=500, duration_ms=3
    )
    ended = Delivery(
        id="msg_1",
        event=WebhookEvent.FAILED,
        state=DeliveryState.FAILED,
        attempts=(attempt,),
        next_attempt_at=None,
    )
    keep(signing.blobs, ref, StoredDelivery(url=URL, delivery=ended))
    assert deliveries(signing, ref).items == (ended,)
    answer = signing.http.get(f"/v1/jobs/{ref.job_id}/deliveries")
    assert "planted" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"webhook_url": "http://hooks.example.org/"}, "bad_webhook_url"),
        ({"webhook_url": "https://169.254.169.254/latest"}, "bad_webhook_url"),
        ({"webhook_url": "https://[::ffff:127.0.0.1]/"}, "bad_webhook_url"),
        ({"webhook_url": "https://user:planted@hooks.example.org/"}, "bad_webhook_url"),
        ({"webhook_url": "höoks"}, "bad_webhook_url"),
        ({"webhook_url": URL, "webhook_events": "job.done"}, "bad_webhook_events"),
        ({"webhook_url": URL, "webhook_events": "job.failed,"}, "bad_webhook_events"),
        ({"webhook_events": "job.failed"}, "bad_webhook_events"),
        ({"webhook_url": URL, "deduplicate": "true"}, "bad_deduplicate"),
        ({"webhook_url": "https://x.example/" + "x" * 3000}, "webhook_url_too_large"),
    ],
)
def test_what_cannot_be_told_is_refused_and_leaves_nothing(
    signing: House, fields: dict[str, str], code: str
) -> None:
    answer = signing.submit(images.png(), **fields)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert "planted" not in answer.text
    assert (signing.files(), signing.jobs()) == ([], [])


def test_without_a_secret_there_are_no_webhooks(house: House) -> None:
    answer = house.submit(images.png(), webhook_url=URL)
    assert (answer.status_code, answer.json()["code"]) == (422, "no_webhook_secret")
    assert (house.files(), house.jobs()) == ([], [])


def test_the_url_which_may_hold_a_secret_is_not_logged_nor_shown(signing: House) -> None:
    ref = signing.accepted(images.png(), webhook_url=URL)
    assert "planted" not in json.dumps(signing.job(ref))
    assert "planted" not in signing.log()


def test_a_repeated_submission_must_name_the_same_receiver(signing: House) -> None:
    def put(url: str) -> int:
        files, data = {"image": ("scan.png", images.png())}, {"webhook_url": url}
        return signing.http.put("/v1/jobs/mine-1", files=files, data=data).status_code

    assert [put(URL), put(URL), put("https://else.example/")] == [202, 200, 422]
    assert signing.http.get("/v1/jobs/mine-1/deliveries").json() == {"items": []}


def test_a_job_that_is_not_there_has_no_deliveries(house: House) -> None:
    answer = house.http.get(f"/v1/jobs/job_{'0' * 32}/deliveries")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_job")


def test_deliveries_are_shown_to_readers_of_the_same_tenant(guarded: Guarded) -> None:
    owner = guarded.key("ward-7")
    path = f"/v1/jobs/{guarded.submit(owner).job_id}/deliveries"
    assert guarded.ask("GET", path, owner).status_code == 200
    assert guarded.ask("GET", path, guarded.key("ward-8")).status_code == 404
    assert guarded.ask("GET", path, guarded.key("ward-7", ("submit",))).status_code == 403


def test_the_description_names_what_a_receiver_is_sent(house: House) -> None:
    document = house.http.get("/openapi.json").json()
    callback = document["paths"]["/v1/jobs"]["post"]["callbacks"]["jobEnded"]
    sent = callback["{$request.body#/webhook_url}"]["post"]
    ref = house.accepted(images.png())
    house.ledger.cancel(ref)
    job = house.ledger.read(ref)
    assert job is not None
    told = payload(view(job), WebhookEvent.CANCELLED)
    schema = sent["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["required"]) == set(told)
    assert set(schema["properties"]["data"]["required"]) == set(told["data"])
    headers = signed_headers(["whsec_" + "A" * 32], "msg_1", 0, b"")
    assert {parameter["name"] for parameter in sent["parameters"]} == set(headers)


# --- once more --------------------------------------------------------------------------------------------


def redeliver(house: House, ref: JobRef) -> httpx.Response:
    return house.http.post(f"/v1/jobs/{ref.job_id}/deliveries/redeliver")


def ended(attempts: int, state: DeliveryState = DeliveryState.FAILED) -> StoredDelivery:
    attempt = DeliveryAttempt(
        at=datetime.now(UTC), outcome=DeliveryOutcome.REJECTED, status=500, duration_ms=3
    )
    log = Delivery(
        id="msg_1",
        event=WebhookEvent.CANCELLED,
        state=state,
        attempts=(attempt,) * attempts,
        next_attempt_at=None,
    )
    return StoredDelivery(url=URL, delivery=log)


@pytest.mark.parametrize("state", [DeliveryState.FAILED, DeliveryState.DELIVERED])
def test_what_has_left_the_ledger_comes_back_with_its_log(signing: House, state: DeliveryState) -> None:
    ref = signing.accepted(images.png())
    keep(signing.blobs, ref, ended(8, state))
    answer = redeliver(signing, ref)
    assert answer.status_code == 202
    (found,) = DeliveryPage.model_validate_json(answer.content).items
    assert (found.event, found.state, len(found.attempts)) == (
        WebhookEvent.CANCELLED,
        DeliveryState.PENDING,
        8,
    )
    held = signing.ledger.deliveries.claim(ref, token=TOKEN, lease_s=60)
    assert held is not None
    assert (held.url, held.tries) == (URL, 0), "with all its tries before it"


def test_what_waits_for_its_next_try_is_due_at_once(signing: House) -> None:
    ref = signing.accepted(images.png(), webhook_url=URL)
    signing.http.post(f"/v1/jobs/{ref.job_id}/cancel")
    ledger = signing.ledger.deliveries
    assert ledger.claim(ref, token=TOKEN, lease_s=60)
    ledger.record(ref, TOKEN, ended(1).delivery.attempts[0], DeliveryState.PENDING, 3600)
    assert ledger.due(10) == []
    assert redeliver(signing, ref).status_code == 202
    assert ledger.due(10) == [ref]


def test_what_is_being_sent_is_left_to_that(signing: House) -> None:
    ref = signing.accepted(images.png(), webhook_url=URL)
    signing.http.post(f"/v1/jobs/{ref.job_id}/cancel")
    assert signing.ledger.deliveries.claim(ref, token=TOKEN, lease_s=60)
    assert redeliver(signing, ref).status_code == 202
    assert signing.ledger.deliveries.due(10) == []
    assert signing.ledger.deliveries.record(
        ref, TOKEN, ended(1).delivery.attempts[0], DeliveryState.DELIVERED, 0
    )


def test_nobody_to_tell_is_404_and_too_often_is_409(signing: House) -> None:
    ref = signing.accepted(images.png(), webhook_url=URL)
    answer = redeliver(signing, ref)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_delivery")
    keep(signing.blobs, ref, ended(64))
    answer = redeliver(signing, ref)
    assert (answer.status_code, answer.json()["code"]) == (409, "redelivered_too_often")
    assert signing.ledger.deliveries.due(10) == []


def test_it_is_recorded_who_had_it_sent_again(signing: House) -> None:
    ref = signing.accepted(images.png())
    keep(signing.blobs, ref, ended(1))
    redeliver(signing, ref)
    with signing.ledger_server.client() as client:
        events = [json.loads(str(text)) for text in client.lrange(Key.AUDIT, 0, -1)]
    assert [(event["action"], event["job"]) for event in events] == [
        ("submitted", ref.job_id),
        ("redelivered", ref.job_id),
    ]
