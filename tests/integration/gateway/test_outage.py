"""Parts of the house are away: nothing that was accepted is lost, and nobody waits long for a 503."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from shared.names import Blob, blob_path
from tests.integration.gateway.process import House
from tests.unit.gateway import images


def assert_unavailable(answer: httpx.Response, code: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == code
    assert answer.headers["retry-after"] == "1"


def test_without_a_broker_a_job_still_stands(house: House) -> None:
    house.broker_server.stop()
    ref = house.accepted(images.png())
    assert str(ref) in house.jobs()
    assert "left to the reaper" in house.log()


def test_without_a_ledger_nothing_is_accepted_and_nothing_piles_up(house: House) -> None:
    ref = house.accepted(images.png())
    house.ledger_server.stop()
    with ThreadPoolExecutor() as clients:  # each waits until the gateway's patience is over
        answers = [
            clients.submit(house.submit, images.png()),
            clients.submit(house.submit, images.noise(2 << 20)),
            clients.submit(house.http.get, f"/v1/jobs/{ref.job_id}"),
            clients.submit(house.http.post, f"/v1/jobs/{ref.job_id}/cancel"),
        ]
    for answer in answers:
        assert_unavailable(answer.result(), "ledger_unavailable")
    assert [path.name for path in house.files()] == [f"{ref.job_id}.{Blob.IMAGE}"]

    house.ledger_server.start()
    assert house.job(ref)["state"] == "queued"
    house.accepted(images.png())


def test_without_a_blob_store_nothing_is_recorded(house: House) -> None:
    ref = house.accepted(images.png())
    house.reset()
    # A file where the folder of this hour should be: no write below it can work, not even root's.
    hour = house.folder / "blobs" / blob_path(ref, Blob.IMAGE).rpartition("/")[0]
    hour.rmdir()
    hour.touch()
    try:
        for image in (images.png(), images.noise(2 << 20)):
            assert_unavailable(house.submit(image), "blob_store_unavailable")
        assert house.jobs() == []
    finally:
        hour.unlink()


def test_ready_names_what_is_missing(house: House) -> None:
    def ready() -> tuple[int, list[str], list[str]]:
        answer = house.http.get("/readyz")
        return answer.status_code, answer.json()["missing"], answer.json()["degraded"]

    assert house.http.get("/healthz").json() == {"status": "ok"}
    assert ready() == (503, ["ml_worker", "fusion_worker"], ["reaper"])

    for stage in house.ledger.alive():
        house.ledger.heartbeat(stage, "node")
    assert ready() == (200, [], ["reaper"])
    house.ledger.reaper_beat()
    assert ready() == (200, [], [])

    house.ledger_server.stop()
    assert ready() == (503, ["ledger"], [])
    assert house.http.get("/healthz").status_code == 200
