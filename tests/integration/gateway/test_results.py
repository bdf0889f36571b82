"""A result in the form that the caller asks for."""

import pytest

from shared.contracts import FusedResult
from tests.integration.gateway.process import House
from tests.integration.gateway.test_audited import actions, url
from tests.integration.gateway.test_follow import assert_problem, complete, forget
from tests.support.samples import fused_result
from tests.unit.gateway import images

FHIR = {"accept": "application/fhir+json"}


def test_accept_chooses_the_form(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    plain = house.http.get(url(ref, "/result"))
    assert plain.headers["content-type"] == "application/json"
    assert FusedResult.model_validate_json(plain.content) == fused_result()
    fhir = house.http.get(url(ref, "/result"), headers=FHIR)
    assert fhir.headers["content-type"] == "application/fhir+json"
    assert (fhir.json()["resourceType"], fhir.json()["type"]) == ("Bundle", "collection")
    assert fhir.headers["etag"] != plain.headers["etag"]
    assert fhir.headers["vary"] == "Accept"
    assert actions(house) == ["submitted", "read", "exported"]


def test_what_is_known_is_not_sent_again_and_no_export(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    tag = house.http.get(url(ref, "/result"), headers=FHIR).headers["etag"]
    again = house.http.get(url(ref, "/result"), headers={**FHIR, "if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert actions(house) == ["submitted", "exported"]


def test_an_archived_job_says_the_same(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    live = house.http.get(url(ref, "/result"), headers=FHIR)
    forget(house, ref)
    assert house.http.get(url(ref, "/result"), headers=FHIR).json() == live.json()


@pytest.mark.parametrize("accept", ["text/html", "application/dicom"])
def test_a_form_that_it_does_not_have_is_406(house: House, accept: str) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    assert_problem(house.http.get(url(ref, "/result"), headers={"accept": accept}), 406, "not_acceptable")


def test_a_job_without_a_result_has_none_in_any_form(house: House) -> None:
    ref = house.accepted(images.png())
    for accept in ("application/json", "application/fhir+json"):
        assert_problem(house.http.get(url(ref, "/result"), headers={"accept": accept}), 404, "no_result")


def test_a_job_is_a_task_at_every_step(house: House) -> None:
    ref = house.accepted(images.png())
    first = house.http.get(url(ref, "/task"))
    assert (first.headers["content-type"], first.json()["status"]) == ("application/fhir+json", "accepted")
    complete(house, ref)
    again = house.http.get(url(ref, "/task"), headers={"if-none-match": first.headers["etag"]})
    assert again.json()["status"] == "completed"
    assert actions(house) == ["submitted"], "it tells nothing of the result"
