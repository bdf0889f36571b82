"""Submissions that are accepted, and what then stands in ledger, blob store and queue."""

import base64
import hashlib
import json
import re

import pytest

from shared.contracts import JobView
from shared.names import Blob, blob_path
from tests.integration.gateway.process import House
from tests.unit.gateway import images


def test_an_accepted_job_is_stored_recorded_and_published(house: House) -> None:
    image = images.png()
    answer = house.submit(image, priority="stat", metadata='{"ward": "7", "slice": 1.0, "flag": null}')

    job = JobView.model_validate_json(answer.content)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job.id}"
    assert answer.headers["retry-after"] == "1"
    assert (job.state, job.priority) == ("queued", "stat")
    assert '"metadata":{"ward":"7","slice":1.0,"flag":null}' in answer.text
    assert job.image.sha256 == hashlib.sha256(image).hexdigest()
    assert job.readings.gemini.model_dump() == {"state": "skipped", "reason": "not_configured"}

    ref = f"default/{job.id}"
    assert [path.read_bytes() for path in house.files()] == [image]
    assert ref in house.jobs()
    (messages,) = house.messages().values()
    assert [json.loads(message)["headers"]["task"] for message in messages] == ["mediscan.ml.read"]


def test_a_message_carries_the_reference_and_nothing_else(house: House) -> None:
    ref = house.accepted(images.png(), metadata='{"name": "Jane Roe planted"}')
    ((raw,),) = house.messages().values()
    body = base64.b64decode(json.loads(raw)["body"]).decode()
    args, kwargs, _ = json.loads(body)
    assert (args, kwargs) == ([str(ref)], {})
    for secret in ("Jane", "planted", "scan.png"):
        assert secret not in raw + body + house.log()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16"])
def test_every_kind_of_png_is_accepted(house: House, mode: str) -> None:
    house.accepted(images.png(mode))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_every_kind_of_jpeg_is_accepted(house: House, mode: str) -> None:
    house.accepted(images.jpeg(mode))


def test_the_declared_type_and_name_do_not_matter(house: House) -> None:
    part = ("report.pdf", images.jpeg(), "application/pdf")
    answer = house.http.post("/v1/jobs", files={"image": part})
    assert answer.json()["image"]["media_type"] == "image/jpeg"


def test_a_large_image_is_streamed_to_the_blob_store(house: House) -> None:
    image = images.noise(2 << 20)
    ref = house.accepted(image)
    assert house.blobs.get(blob_path(ref, Blob.IMAGE)) == image
    assert house.job(ref)["image"]["sha256"] == hashlib.sha256(image).hexdigest()


def test_without_a_content_length_all_is_the_same(house: House) -> None:
    whole = house.http.build_request("POST", "/v1/jobs", files={"image": ("scan.png", images.png())})
    body = (bytes([byte]) for byte in whole.read())
    headers = {"content-type": whole.headers["content-type"]}
    assert house.http.post("/v1/jobs", content=body, headers=headers).status_code == 202


def test_with_gemini_both_readings_are_asked_for() -> None:
    with House(gemini_enabled=True) as house:
        answer = house.submit(images.png())
        assert answer.json()["readings"]["gemini"]["state"] == "pending"
        tasks = re.findall(r"mediscan\.\w+\.read", json.dumps(house.messages()))
        assert set(tasks) == {"mediscan.ml.read", "mediscan.gemini.read"}
