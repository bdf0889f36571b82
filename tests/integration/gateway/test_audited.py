"""What a gateway writes into the audit trail, and what it does not."""

import json
import signal
from datetime import timedelta
from typing import Any

from services.gateway.api_keys import Token
from services.gateway.key_admin import KeyAdmin
from shared.audit.trail import Trail
from shared.names import Blob, JobRef, Key, Stage, blob_path
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.integration.gateway.test_follow import complete, forget, settle_ml
from tests.support.samples import new_token
from tests.support.waiting import wait_until
from tests.unit.gateway import images


def events(house: House) -> list[dict[str, Any]]:
    """What the ledger holds, oldest first."""
    with house.ledger_server.client() as client:
        return [json.loads(str(text)) for text in client.lrange(Key.AUDIT, 0, -1)]


def actions(house: House) -> list[str]:
    return [event["action"] for event in events(house)]


def url(ref: JobRef, suffix: str = "") -> str:
    return f"/v1/jobs/{ref.job_id}{suffix}"


def test_an_event_says_who_did_what_to_which_job(guarded: Guarded) -> None:
    token = guarded.key("ward-7")
    ref = guarded.submit(token, metadata='{"name": "Jane planted"}')
    (event,) = events(guarded.house)
    assert event.keys() == {"id", "at", "action", "key", "tenant", "job"}
    assert (event["action"], event["key"]) == ("submitted", token.key_id)
    assert (event["tenant"], event["job"]) == ("ward-7", ref.job_id)


def test_a_job_is_read_once_there_is_something_to_read(house: House) -> None:
    ref = house.accepted(images.png())
    house.job(ref)
    house.ledger.claim(ref, Stage.ML, token=new_token())
    house.job(ref)
    assert actions(house) == ["submitted"], "a poll that tells nothing about a patient is no read"


def test_a_reading_or_a_result_that_is_handed_out_is_a_read_each_time(house: House) -> None:
    ref = house.accepted(images.png())
    settle_ml(house, ref)
    house.job(ref)
    house.job(ref)
    assert actions(house) == ["submitted", "read", "read"]


def test_not_changed_is_no_read(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    tag = house.http.get(url(ref)).headers["etag"]
    assert house.http.get(url(ref), headers={"if-none-match": tag}).status_code == 304
    assert actions(house) == ["submitted", "read"]


def test_whoever_waits_reads_once_however_often_the_job_is_looked_at(house: House) -> None:
    ref = house.accepted(images.png())
    assert house.http.get(url(ref), params={"wait": 1}).json()["queue"]["position"] == 1
    assert actions(house) == ["submitted"]
    settle_ml(house, ref)
    answer = house.http.get(
        url(ref), params={"wait": 1}
    )  # looked at twice and told once: when the time is up
    assert actions(house) == ["submitted", "read"]
    tag = {"if-none-match": answer.headers["etag"]}
    assert house.http.get(url(ref), params={"wait": 1}, headers=tag).status_code == 304
    assert actions(house) == ["submitted", "read"]


def test_the_end_that_somebody_waits_for_is_a_read(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    assert house.http.get(url(ref), params={"wait": 1}).json()["state"] == "completed"
    assert actions(house) == ["submitted", "read"]


def test_an_archived_result_is_read_too(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    forget(house, ref)
    house.job(ref)
    assert actions(house) == ["submitted", "read"]


def test_a_heatmap_is_recorded_where_it_is_handed_out(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    assert house.http.get(url(ref, "/heatmap.png")).status_code == 404
    house.blobs.put(blob_path(ref, Blob.PREVIEW), images.encode(images.picture(), "JPEG"))
    answer = house.http.get(url(ref, "/heatmap.png"))
    assert answer.status_code == 200
    house.http.get(url(ref, "/heatmap.png"), headers={"if-none-match": answer.headers["etag"]})
    assert actions(house) == ["submitted", "exported_heatmap"]


def test_a_preview_is_recorded_where_it_is_handed_out(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    assert house.http.get(url(ref, "/preview.jpg")).json()["code"] == "no_preview"
    stored = images.encode(images.picture(), "JPEG")
    house.blobs.put(blob_path(ref, Blob.PREVIEW), stored)
    answer = house.http.get(url(ref, "/preview.jpg"))
    assert (answer.content, answer.headers["content-type"]) == (stored, "image/jpeg")
    house.http.get(url(ref, "/preview.jpg"), headers={"if-none-match": answer.headers["etag"]})
    assert actions(house) == ["submitted", "exported_preview"]


def test_a_report_is_recorded_where_it_is_handed_out(house: House) -> None:
    ref = house.accepted(images.png())
    assert house.http.get(url(ref, "/report.pdf")).json()["code"] == "no_report"
    complete(house, ref)
    answer = house.http.get(url(ref, "/report.pdf"))
    assert (answer.content[:5], answer.headers["content-type"]) == (b"%PDF-", "application/pdf")
    house.http.get(url(ref, "/report.pdf"), headers={"if-none-match": answer.headers["etag"]})
    assert actions(house) == ["submitted", "exported_report"]


def test_a_job_is_called_off_once(house: House) -> None:
    ref = house.accepted(images.png())
    for _ in range(2):
        assert house.http.post(url(ref, "/cancel")).status_code == 200
    assert actions(house) == ["submitted", "cancelled"]


def test_calling_off_what_is_over_is_not_recorded(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    assert house.http.post(url(ref, "/cancel")).status_code == 409
    assert actions(house) == ["submitted"]


def test_calling_off_hands_no_reading_to_a_key_that_may_not_read(guarded: Guarded) -> None:
    submitter, reader = guarded.key(scopes=("submit",)), guarded.key(scopes=("submit", "read"))
    for token, seen in ((submitter, "pending"), (reader, "done")):
        ref = guarded.submit(token)
        settle_ml(guarded.house, ref)
        answer = guarded.ask("POST", url(ref, "/cancel"), token)
        assert (answer.json()["state"], answer.json()["readings"]["ml"]["state"]) == ("cancelled", seen)
    assert actions(guarded.house) == ["submitted", "cancelled", "submitted", "cancelled", "read"]


def test_what_is_refused_is_not_recorded_as_done(guarded: Guarded) -> None:
    theirs, mine = guarded.key("theirs"), guarded.key("mine")
    ref = guarded.submit(theirs)
    complete(guarded.house, ref)
    for method, suffix in (
        ("GET", ""),
        ("GET", "/heatmap.png"),
        ("GET", "/preview.jpg"),
        ("GET", "/report.pdf"),
        ("POST", "/cancel"),
    ):
        assert guarded.ask(method, url(ref, suffix), mine).status_code == 404
        assert guarded.ask(method, url(ref, suffix), guarded.key(scopes=("admin",))).status_code == 403
    assert actions(guarded.house) == ["submitted"]


def test_without_keys_the_caller_is_called_open(house: House) -> None:
    house.accepted(images.png())
    assert [event["key"] for event in events(house)] == ["open"]


def test_refused_logins_are_one_number_and_no_ledger_write_each() -> None:
    with House(auth="keys") as house:
        for _ in range(7):
            assert house.http.get("/v1/models", headers={"X-API-Key": Token.make().text}).status_code == 401
        assert events(house) == []
        house.process.send_signal(signal.SIGTERM)
        house.process.wait(timeout=20)
        wait_until(lambda: events(house), what="they are recorded when the gateway stops")
        (event,) = events(house)
        assert (event["action"], event["key"], event["count"]) == ("refused_logins", "house", 7)


def test_what_an_operator_does_to_keys_is_in_the_trail_at_once(house: House) -> None:
    house.ledger_server.stop()  # a key must be revocable while it is away
    admin = KeyAdmin(house.blobs)
    made, _ = admin.create(tenant="ward-7", scopes=["read"])
    rotated, _, _ = admin.rotate(made.id, overlap=timedelta(days=1))
    admin.revoke(made.id)
    trail = Trail(house.blobs)
    assert trail.verify().broken is None
    assert [(entry["action"], entry["about"]) for entry, _ in trail.entries()] == [
        ("key_created", made.id),
        ("key_rotated", made.id),
        ("key_created", rotated.id),
        ("key_revoked", made.id),
    ]
    assert {entry["key"] for entry, _ in trail.entries()} == {"operator"}
