"""STOW-RS as its reference client speaks it, and as others misspell it."""

import base64
import json
from typing import Any

import httpx
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset

from services.gateway.settings import GatewaySettings
from shared.names import new_job_id
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.support import dicoms
from tests.unit.gateway import images

TYPE = 'multipart/related; type="application/dicom"; boundary=xYz'


def body(*parts: bytes, end: bytes = b"--xYz--\r\n") -> bytes:
    return (
        b"".join(b"--xYz\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts) + end
    )


def post(house: House, *parts: bytes, study: str = "", **headers: str) -> httpx.Response:
    return house.http.post(
        f"/dicomweb/studies{study}", content=body(*parts), headers={"Content-Type": TYPE, **headers}
    )


def outcome(answer: httpx.Response) -> Dataset:
    assert answer.headers["content-type"] == "application/dicom+json", answer.text
    return Dataset.from_json(answer.json())


def codes(items: Any) -> list[str]:
    return [item.private_block(0x0009, "MEDISCAN")[0x01].value for item in items]


def jobs(house: House) -> int:
    return sum(name.startswith("mediscan:job:") for name in house.jobs())


def test_the_reference_client_stores_a_study_and_each_image_is_a_job(house: House) -> None:
    study = [dicoms.dataset(dicoms.slope()) for _ in range(3)]
    for made in study:
        made.StudyInstanceUID = study[0].StudyInstanceUID
        dicoms.written(made)
        made.preamble = bytes(128)  # which the client leaves out otherwise
    client = DICOMwebClient(f"{house.url}/dicomweb")
    stored = client.store_instances(study, study_instance_uid=study[0].StudyInstanceUID)
    assert [item.ReferencedSOPInstanceUID for item in stored.ReferencedSOPSequence] == [
        made.SOPInstanceUID for made in study
    ]
    assert jobs(house) == 3
    for item, made in zip(stored.ReferencedSOPSequence, study, strict=True):
        job = house.http.get(item.RetrieveURL).json()
        assert job["client_id"] == made.SOPInstanceUID
        assert job["image"]["dicom"]["study_instance_uid"] == study[0].StudyInstanceUID
        assert house.http.get(f"/v1/jobs/{made.SOPInstanceUID}").json()["id"] == job["id"]


def test_what_is_no_image_is_refused_by_name_beside_the_others(house: House) -> None:
    good, report = dicoms.dicom(), dicoms.report()
    answer = post(house, report, good, b"no DICOM", images.png())
    assert answer.status_code == 202
    found = outcome(answer)
    assert [item.ReferencedSOPInstanceUID for item in found.ReferencedSOPSequence] == [
        dicoms.read(good).SOPInstanceUID
    ]
    assert [item.ReferencedSOPInstanceUID for item in found.FailedSOPSequence] == [
        dicoms.read(report).SOPInstanceUID
    ]
    assert codes(found.FailedSOPSequence) == ["dicom_not_an_image"]
    assert codes(found.OtherFailuresSequence) == ["unsupported_image", "unsupported_image"]
    assert jobs(house) == 1


def test_what_comes_back_makes_no_job(house: House) -> None:
    file = dicoms.dicom()
    first = outcome(post(house, file)).ReferencedSOPSequence[0].RetrieveURL
    capture = dicoms.dicom(SOPClassUID=dicoms.SECONDARY_CAPTURE)
    again = post(house, file, capture, dicoms.report())
    assert again.status_code == 202
    assert outcome(again).ReferencedSOPSequence[0].RetrieveURL == first
    assert codes(outcome(again).FailedSOPSequence) == ["dicom_derived", "dicom_not_an_image"]
    assert jobs(house) == 1


def test_other_bytes_under_the_same_instance_are_refused(house: House) -> None:
    made = dicoms.dataset(dicoms.slope())
    assert post(house, dicoms.written(made)).status_code == 200
    before = house.left_behind()
    made.SeriesNumber = 9
    answer = post(house, dicoms.written(made))
    assert (answer.status_code, codes(outcome(answer).FailedSOPSequence)) == (409, ["client_id_reused"])
    assert house.left_behind() == before


def test_a_large_instance_is_streamed(house: House) -> None:
    file = dicoms.dicom(dicoms.slope(1000, 1200))
    assert len(file) > 2 << 20
    assert post(house, file, dicoms.dicom()).status_code == 200
    assert jobs(house) == 2


def test_an_instance_over_the_limit_is_refused_and_the_next_is_taken(house: House) -> None:
    answer = post(house, dicoms.dicom(dicoms.slope(1000, 2000)), dicoms.dicom())
    assert answer.status_code == 202
    assert codes(outcome(answer).FailedSOPSequence) == ["instance_too_large"]
    assert jobs(house) == 1


def test_an_instance_of_another_study_is_refused(house: House) -> None:
    answer = post(house, dicoms.dicom(), study="/2.25.1")
    assert (answer.status_code, codes(outcome(answer).FailedSOPSequence)) == (409, ["dicom_other_study"])
    assert house.jobs() == []


def test_a_modality_that_the_model_is_not_made_for_is_refused(house: House) -> None:
    house.ledger.offer_models({"m/1": json.dumps({"modality": ["MR"]})}, default="m/1")
    answer = post(house, dicoms.dicom(Modality="CT"))
    assert (answer.status_code, codes(outcome(answer).FailedSOPSequence)) == (409, ["modality_mismatch"])


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"", TYPE, 400, "empty_body"),
        (body(dicoms.dicom(), end=b""), TYPE, 400, "upload_incomplete"),
        (b"nothing of the kind", TYPE, 400, "bad_multipart"),
        (body(), "application/dicom", 415, "not_multipart"),
        (body(), 'multipart/related; type="application/dicom+json"; boundary=xYz', 415, "not_multipart"),
        (body(), 'multipart/related; type="application/dicom"', 400, "bad_multipart"),
        (body(*[b"x"] * (GatewaySettings().stow_max_instances + 1)), TYPE, 400, "too_many_parts"),
    ],
)
def test_a_body_that_is_wrong_as_a_whole_is_a_problem(
    house: House, content: bytes, kind: str, status: int, code: str
) -> None:
    answer = house.http.post("/dicomweb/studies", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert house.left_behind() == []


def test_a_key_may_be_the_password_of_basic(guarded: Guarded) -> None:
    token = guarded.key(scopes=("submit",))
    for user in ("", "orthanc"):
        basic = base64.b64encode(f"{user}:{token.text}".encode()).decode()
        assert post(guarded.house, dicoms.dicom(), Authorization=f"Basic {basic}").status_code == 200
    for wrong in ("Basic", "Basic !", f"Basic {base64.b64encode(token.text.encode()).decode()}"):
        assert post(guarded.house, dicoms.dicom(), Authorization=wrong).status_code == 401
    reader = guarded.key(scopes=("read",))
    assert post(guarded.house, dicoms.dicom(), **{"X-API-Key": reader.text}).status_code == 403


def test_where_there_is_room_for_none_all_may_be_sent_again(guarded: Guarded) -> None:
    token = guarded.key(rate_per_minute=1)
    headers = {"X-API-Key": token.text}
    some = post(guarded.house, dicoms.dicom(), dicoms.dicom(), **headers)
    assert (some.status_code, codes(outcome(some).FailedSOPSequence)) == (202, ["rate_limited"])
    none = post(guarded.house, dicoms.dicom(), **headers)
    assert (none.status_code, none.json()["code"]) == (429, "rate_limited")
    assert int(none.headers["retry-after"]) > 0


def test_no_name_of_a_job_is_taken_for_a_study(house: House) -> None:
    assert post(house, dicoms.dicom(), study=f"/{new_job_id()}").status_code == 409
