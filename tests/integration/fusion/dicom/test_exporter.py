"""From the end of a job over a DICOM image to the PACS, over a real ledger and a real blob store."""

import email
import logging
import threading
from email.message import Message

import pytest

from services.fusion.archive import archive
from services.fusion.webhooks.ladder import PAUSES_S
from shared.client_ids import erase
from shared.contracts import DeliveryOutcome, DeliveryState, DeliveryTarget
from shared.dicom_results import DicomResult
from shared.job_state import JobState
from shared.names import Blob, JobRef, blob_path
from shared.webhooks.log import kept
from tests.integration.fusion.dicom.house import House
from tests.support.receiver import Received, Receiver, answers, hangs
from tests.support.samples import new_token
from tests.support.waiting import wait_until

LOGIN = {"pacs_user": "us", "pacs_password": "word"}
TOKEN = {"pacs_token": "t-1"}
_FAILED = b'{"00081198": {"vr": "SQ", "Value": [{}]}}'


def base(receiver: Receiver) -> str:
    return f"http://127.0.0.1:{receiver.port}/dicom-web"


def parts(request: Received) -> list[bytes]:
    """The files of a STOW-RS request."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.body)
    found = message.get_payload()
    assert isinstance(found, list)
    return [bytes(part.get_payload(decode=True) or b"") for part in found if isinstance(part, Message)]


def attempts(house: House, ref: JobRef) -> list[tuple[str, int | None]]:
    log = kept(house.blobs, ref, DeliveryTarget.PACS)
    assert log is not None
    return [(one.outcome.value, one.status) for one in log.delivery.attempts]


def test_without_a_pacs_the_objects_are_made_and_kept(house: House) -> None:
    ref = house.archived()
    exporter = house.exporter()
    exporter.export(ref)
    assert set(house.kept(ref)) == set(DicomResult)
    assert house.is_forgotten(ref)
    assert kept(house.blobs, ref, DeliveryTarget.PACS) is None
    assert house.exported() == []


def test_a_job_over_a_plain_picture_has_nothing_to_export(house: House) -> None:
    ref = house.jobs.ended(JobState.COMPLETED)
    archive(house.jobs.record(ref), house.ledger, house.blobs)
    assert house.is_forgotten(ref)


def test_the_pacs_gets_what_is_kept_once_with_the_login(house: House) -> None:
    ref = house.archived()
    with Receiver(answers(200)) as receiver:
        exporter = house.exporter(base(receiver), **LOGIN)
        exporter.export(ref)
        exporter.export(ref)
        (request,) = receiver.received
    assert request.line == "POST /dicom-web/studies HTTP/1.1"
    assert request.headers["authorization"] == "Basic dXM6d29yZA=="
    assert request.headers["accept"] == "application/dicom+json"
    assert parts(request) == list(house.kept(ref).values())
    assert attempts(house, ref) == [("delivered", 200)]
    assert house.is_forgotten(ref)
    assert house.exported() == [("house", ref.job_id)]


def test_only_what_is_wanted_is_sent(house: House) -> None:
    ref = house.archived()
    with Receiver(answers(200)) as receiver:
        house.exporter(base(receiver), pacs_objects="overlay", **TOKEN).export(ref)
        (request,) = receiver.received
    assert parts(request) == [house.kept(ref)[DicomResult.OVERLAY]]
    assert request.headers["authorization"] == "Bearer t-1"


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (answers(503), "rejected"),
        (answers(409), "rejected"),
        (answers(202, body=_FAILED), "rejected"),
        (answers(307, "Location: http://127.0.0.1/"), "redirected"),
    ],
)
def test_a_pacs_that_does_not_take_it_is_asked_again_with_the_very_same(
    house: House, behaviour: object, outcome: str
) -> None:
    ref = house.archived()
    with Receiver(behaviour) as bad, Receiver(answers(200)) as good:  # type: ignore[arg-type]
        house.exporter(base(bad)).export(ref)
        held = house.ledger.exports.read(ref)
        assert held
        assert held.delivery.state is DeliveryState.PENDING
        assert held.delivery.next_attempt_at
        house.due_now(ref)
        house.exporter(base(good)).export(ref)
        assert parts(bad.received[0]) == parts(good.received[0])
    assert [found for found, _ in attempts(house, ref)] == [outcome, "delivered"]
    assert len(house.exported()) == 1


def test_a_pacs_that_hangs_is_left_in_time(house: House) -> None:
    ref = house.archived()
    with Receiver(hangs) as receiver:
        house.exporter(base(receiver), pacs_timeout_s=0.5).export(ref)
    held = house.ledger.exports.read(ref)
    assert held
    assert held.delivery.attempts[-1].outcome is DeliveryOutcome.TIMEOUT


def test_after_the_last_rung_it_is_given_up_and_the_log_says_so(house: House) -> None:
    ref = house.archived()
    with Receiver(answers(500)) as receiver:
        exporter = house.exporter(base(receiver))
        for _ in range(len(PAUSES_S) + 1):
            house.due_now(ref)
            exporter.export(ref)
    log = kept(house.blobs, ref, DeliveryTarget.PACS)
    assert log
    assert (log.delivery.state, len(log.delivery.attempts)) == (DeliveryState.FAILED, len(PAUSES_S) + 1)
    assert log.delivery.id.startswith("dcm_")
    assert house.is_forgotten(ref)
    assert set(house.kept(ref)) == set(DicomResult), "they can still be fetched"


def test_a_header_that_nothing_can_be_made_from_is_no_endless_work(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    ref = house.archived()
    house.blobs.put(blob_path(ref, Blob.DICOM_HEADER), b"Jane Planted")
    with caplog.at_level(logging.INFO):
        house.exporter("https://pacs.invalid/dicom-web").export(ref)
    assert attempts(house, ref) == [("unmade", None)]
    assert house.is_forgotten(ref)
    assert "ImageError" in caplog.text
    assert "Planted" not in caplog.text


def test_an_exporter_that_dies_is_followed_by_another(house: House) -> None:
    ref = house.archived()
    assert house.ledger.exports.claim(ref, token=new_token(), lease_s=60)
    house.exporter().export(ref)
    assert house.kept(ref) == {}, "somebody holds it"
    house.due_now(ref)
    house.exporter().export(ref)
    assert set(house.kept(ref)) == set(DicomResult)


def test_of_an_erased_job_nothing_is_exported(house: House) -> None:
    ref = house.archived()
    job = house.jobs.record(ref)
    house.ledger.erase(ref, job.image, job.model, audit="{}")
    erase(house.blobs, ref)
    house.exporter("https://pacs.invalid/dicom-web").export(ref)
    assert house.kept(ref) == {}
    assert house.is_forgotten(ref)


def test_archiving_again_makes_no_second_export_of_one_that_waits(house: House) -> None:
    ref = house.archived()
    first = house.ledger.exports.read(ref)
    archive(house.jobs.record(ref), house.ledger, house.blobs)
    assert house.ledger.exports.read(ref) == first


def test_its_rounds_take_what_is_due(house: House) -> None:
    refs = [house.archived() for _ in range(3)]
    stop = threading.Event()
    exporter = house.exporter(reaper_interval_s=0.05)
    thread = threading.Thread(target=exporter.run, args=(stop,))
    thread.start()
    try:
        wait_until(
            lambda: all(house.is_forgotten(ref) for ref in refs), timeout_s=60, what="all are exported"
        )
    finally:
        stop.set()
        thread.join()
    assert all(set(house.kept(ref)) == set(DicomResult) for ref in refs)
