"""A result in the form that the caller asks for."""

import pytest

from shared.contracts import FusedResult
from shared.dicom_results import KINDS, DicomResult
from shared.names import Blob, JobRef, blob_path
from tests.integration.gateway.process import House
from tests.integration.gateway.test_audited import actions, url
from tests.integration.gateway.test_follow import assert_problem, complete, forget
from tests.support.samples import SKIPPED, dicom_source, fused_result, image_facts, new_job, new_ref
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


# --- DICOM ----------------------------------------------------------------------------------------------------


def over_dicom(house: House) -> JobRef:
    """A finished job over a DICOM image, whose objects are not made yet."""
    ref = new_ref()
    facts = image_facts(media_type="application/dicom", dicom=dicom_source())
    house.ledger.create(ref, new_job(image=facts, gemini_skipped=SKIPPED))
    complete(house, ref)
    return ref


def test_a_dicom_object_is_handed_out_and_recorded(house: House) -> None:
    ref = over_dicom(house)
    for result, kind in KINDS.items():
        house.blobs.put(blob_path(ref, kind.blob), f"of {result}".encode())
    for result in DicomResult:
        answer = house.http.get(url(ref, f"/dicom/{result}"))
        assert (answer.headers["content-type"], answer.text) == ("application/dicom", f"of {result}")
        assert answer.headers["content-disposition"] == f'attachment; filename="{ref.job_id}.{result}.dcm"'
        known = {"if-none-match": answer.headers["etag"]}
        assert house.http.get(url(ref, f"/dicom/{result}"), headers=known).status_code == 304
    report = house.http.get(url(ref, "/result"), headers={"accept": "application/dicom"})
    assert report.text == "of sr"
    assert actions(house) == ["exported"] * 4


def test_what_is_being_made_is_worth_waiting_for_and_what_never_comes_is_not(house: House) -> None:
    ref = over_dicom(house)
    answer = house.http.get(url(ref, "/dicom/sr"))
    assert_problem(answer, 503, "dicom_not_made_yet")
    assert answer.headers["retry-after"] == "1"
    house.blobs.put(blob_path(ref, Blob.DICOM_SR), b"a report")
    assert_problem(house.http.get(url(ref, "/dicom/map")), 404, "no_dicom_object")
    assert_problem(house.http.get(url(ref, "/dicom/pdf")), 422, "bad_parameter")


def test_a_plain_picture_has_no_dicom_objects(house: House) -> None:
    ref = house.accepted(images.png())
    complete(house, ref)
    assert_problem(house.http.get(url(ref, "/dicom/sr")), 404, "no_dicom_object")


def test_the_bundle_names_the_patient_of_the_header(house: House) -> None:
    ref = over_dicom(house)
    house.blobs.put(blob_path(ref, Blob.DICOM_HEADER), b'{"00100020": {"vr": "LO", "Value": ["P-9"]}}')
    (study,) = [
        entry["resource"]
        for entry in house.http.get(url(ref, "/result"), headers=FHIR).json()["entry"]
        if entry["resource"]["resourceType"] == "ImagingStudy"
    ]
    assert study["subject"]["identifier"]["value"] == "P-9"


def test_a_push_to_the_pacs_is_among_the_deliveries_and_goes_with_the_job(house: House) -> None:
    ref = over_dicom(house)
    (push,) = house.http.get(url(ref, "/deliveries")).json()["items"]
    assert (push["target"], push["state"]) == ("pacs", "pending")
    assert house.http.delete(url(ref)).status_code == 204
    assert house.ledger.exports.read(ref) is None
