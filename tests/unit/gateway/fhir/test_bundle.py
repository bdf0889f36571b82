"""Results as FHIR: every resource fits its schema, points only at what is there, and says what the job says."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhir.resources.R4B.bundle import Bundle

from services.gateway.fhir.bundle import bundle
from services.gateway.fhir.patient import patient_id
from services.gateway.fhir.task import task
from shared.contracts import (
    DISCLAIMER,
    AbstainReason,
    FindingCode,
    FusedResult,
    JobView,
    MlReading,
    ReviewReason,
)
from shared.dicom_results import DicomResult, instance_uid
from shared.job_view import view
from shared.ledger import JobRecord
from shared.medical_codes import SCHEMES
from tests.support.samples import (
    RATE_LIMITED,
    dicom_source,
    frame_readings,
    fused_result,
    gemini_reading,
    image_facts,
    ml_reading,
)
from tests.unit.shared.test_job_view import COMPLETED, QUEUED

BOTH = replace(COMPLETED, gemini=gemini_reading())
DICOM = replace(BOTH, image=image_facts(media_type="application/dicom", dicom=dicom_source()))
ABSTAINED = replace(
    COMPLETED,
    ml=ml_reading(abstain_reason=AbstainReason.OUT_OF_DISTRIBUTION, conformal_set=(), body_part=("BRAIN",)),
    result=fused_result(label=None, needs_review=True, review_reasons=(ReviewReason.ML_ABSTAINED,)),
)
FRAMES = replace(DICOM, ml=ml_reading(frame=2, frames=frame_readings()))
UNAVAILABLE = replace(COMPLETED, gemini=RATE_LIMITED)


def made(record: JobRecord, patient: str | None = None) -> dict[str, Any]:
    job: JobView = view(record)
    assert isinstance(job.readings.ml, MlReading)
    assert isinstance(job.result, FusedResult)
    return bundle(job, job.readings.ml, job.result, patient)


def one(found: dict[str, Any], kind: str, method: str | None = None) -> dict[str, Any]:
    resources = [entry["resource"] for entry in found["entry"] if entry["resource"]["resourceType"] == kind]
    (chosen,) = [r for r in resources if method is None or r["method"]["coding"][0]["code"] == method]
    return dict(chosen)


def parts(observation: dict[str, Any]) -> dict[str, Any]:
    """Code -> value of an observation's components."""
    found = {}
    for part in observation["component"]:
        (value,) = [part[name] for name in part if name.startswith("value")]
        found[part["code"]["coding"][0]["code"]] = value
    return found


def addresses(found: object) -> set[str]:
    """Everything that is pointed at."""
    if isinstance(found, dict):
        own = {found["reference"]} if "reference" in found else set()
        return own.union(*map(addresses, found.values()))
    return set().union(*map(addresses, found)) if isinstance(found, list) else set()


@pytest.mark.parametrize("record", [COMPLETED, BOTH, DICOM, FRAMES, ABSTAINED, UNAVAILABLE])
def test_every_resource_fits_its_schema_and_points_at_what_is_there(record: JobRecord) -> None:
    found = made(record, "P-1")
    Bundle.model_validate(found)
    for entry in found["entry"]:
        get_fhir_model_class(entry["resource"]["resourceType"]).model_validate(entry["resource"])
    assert addresses(found) <= {entry["fullUrl"] for entry in found["entry"]}


def test_a_schema_would_notice() -> None:
    found = one(made(COMPLETED), "DiagnosticReport")
    with pytest.raises(ValueError, match="status"):
        get_fhir_model_class("DiagnosticReport").model_validate({**found, "status": None})


def test_the_report_is_preliminary_and_says_what_it_is_not() -> None:
    report = one(made(BOTH), "DiagnosticReport")
    assert report["status"] == "preliminary"
    assert report["conclusion"].endswith(DISCLAIMER)
    assert len(report["result"]) == 3
    assert {tag["code"] for tag in report["meta"]["security"]} == {"AIAST", "HRESCH"}


def test_each_reader_answers_and_says_how_sure_it_is() -> None:
    found = made(BOTH)
    ml, gemini = one(found, "Observation", "ml-reading"), one(found, "Observation", "gemini-reading")
    fused = one(found, "Observation", "fused-reading")
    assert [answer["valueCodeableConcept"]["coding"][0]["code"] for answer in (ml, gemini, fused)] == [
        "52101004"
    ] * 3
    assert parts(ml)["122157"]["value"] == 0.75
    assert parts(gemini)["122157"]["value"] == 0.5
    assert parts(fused)["122157"] == {
        "value": 0.65,
        "unit": "no units",
        "system": "http://unitsofmeasure.org",
        "code": "1",
    }
    assert (parts(fused)["risk-score"], parts(fused)["needs-review"]) == (65, False)
    assert len(fused["derivedFrom"]) == 2


def test_each_frame_that_was_read_is_an_observation_of_its_own() -> None:
    found = {entry["fullUrl"]: entry["resource"] for entry in made(FRAMES)["entry"]}
    (whole,) = [one for one in found.values() if one.get("hasMember")]
    frames = [found[member["reference"]] for member in whole["hasMember"]]
    assert whole["method"]["coding"][0]["code"] == "ml-reading"
    assert parts(whole)["frame"] == 2
    assert [(parts(one)["frame"], parts(one)["122157"]["value"]) for one in frames] == [
        (1, 0.25), (2, 0.75), (3, 0.875)
    ]  # fmt: skip
    assert [one["valueCodeableConcept"]["coding"][0]["display"] for one in frames] == [
        "Absent", "Present", "Indeterminate"
    ]  # fmt: skip
    assert parts(frames[2])["abstention"] == "out_of_distribution"


def test_the_finding_is_that_of_the_reading() -> None:
    lesion = FindingCode(value="52988006", scheme="SCT", meaning="Lesion")
    for finding, code in ((lesion, "52988006"), (None, "404684003")):
        found = made(replace(BOTH, ml=ml_reading(finding=finding)))
        for method in ("ml-reading", "gemini-reading", "fused-reading"):
            assert one(found, "Observation", method)["code"]["coding"][0]["code"] == code


def test_every_scheme_that_a_card_may_use_has_a_name_in_fhir() -> None:
    assert set(get_args(FindingCode.model_fields["scheme"].annotation)) <= set(SCHEMES)


def test_what_radlex_has_a_word_for_is_said_in_radlex_too() -> None:
    found = one(made(ABSTAINED), "Observation", "ml-reading")
    said = {
        field: [(code["system"], code["code"]) for code in found[field]["coding"]]
        for field in ("code", "bodySite")
    }
    assert said == {
        "code": [("http://snomed.info/sct", "108369006"), ("http://radlex.org", "RID3957")],
        "bodySite": [("http://snomed.info/sct", "12738006"), ("http://radlex.org", "RID6434")],
    }


def test_a_reader_that_abstains_is_no_negative_one() -> None:
    found = made(ABSTAINED)
    for method in ("ml-reading", "fused-reading"):
        answer = one(found, "Observation", method)["valueCodeableConcept"]["coding"][0]
        assert (answer["code"], answer["display"]) == ("82334004", "Indeterminate")
    assert parts(one(found, "Observation", "ml-reading"))["abstention"] == "out_of_distribution"
    assert parts(one(found, "Observation", "fused-reading"))["review-reason"] == "ml_abstained"
    assert one(found, "Observation", "ml-reading")["bodySite"]["coding"][0]["code"] == "12738006"


@pytest.mark.parametrize(
    ("record", "absent", "why"),
    [(COMPLETED, "not-performed", "not_configured"), (UNAVAILABLE, "error", "rate_limited")],
)
def test_a_reading_that_is_not_there_says_why(record: JobRecord, absent: str, why: str) -> None:
    gemini = one(made(record), "Observation", "gemini-reading")
    assert gemini["status"] == "cancelled"
    assert gemini["dataAbsentReason"]["coding"][0]["code"] == absent
    assert parts(gemini)["fallback"] == why


def test_a_dicom_image_brings_its_study_its_patient_and_the_objects_that_we_add() -> None:
    job = view(DICOM)
    found = made(DICOM, "P-1")
    study = one(found, "ImagingStudy")
    assert study["identifier"][0] == {"system": "urn:dicom:uid", "value": "urn:oid:2.25.101"}
    assert study["identifier"][1]["value"] == "A-17"
    instances = [instance["uid"] for series in study["series"] for instance in series["instance"]]
    assert instances == ["2.25.103", *(instance_uid(job.id, result) for result in DicomResult)]
    for kind in ("DiagnosticReport", "ImagingStudy"):
        assert one(found, kind)["subject"]["identifier"]["value"] == "P-1"


def test_a_picture_without_a_patient_names_none_but_the_caller_s() -> None:
    assert "subject" not in one(made(COMPLETED), "DiagnosticReport")
    named = made(replace(COMPLETED, metadata={"patient_id": "ward-7-12"}))
    assert one(named, "DiagnosticReport")["subject"]["identifier"]["value"] == "ward-7-12"


def test_the_same_job_gives_the_same_bundle() -> None:
    assert made(BOTH) == made(BOTH)


def test_every_code_s_system_is_one_of_the_table() -> None:
    known = {scheme.uri for scheme in SCHEMES.values()}
    observation = one(made(BOTH), "Observation", "fused-reading")
    for part in (*observation["component"], observation):
        assert part["code"]["coding"][0]["system"] in known


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b'{"00100020": {"vr": "LO", "Value": ["P-1 "]}}', "P-1"),
        (b'{"00100020": {"vr": "LO"}}', None),
        (b'{"00100020": {"vr": "LO", "Value": [null]}}', None),
        (b"{}", None),
        (b"no JSON", None),
    ],
)
def test_whose_image_it_is_stands_in_its_header(header: bytes, expected: str | None) -> None:
    assert patient_id(header) == expected


def test_a_task_says_how_the_job_stands_and_nothing_of_the_result() -> None:
    schema = get_fhir_model_class("Task")
    for record, status in ((QUEUED, "accepted"), (COMPLETED, "completed"), (DICOM, "completed")):
        found = task(view(record))
        schema.model_validate(found)
        assert found["status"] == status
        assert "output" not in found
    assert one(made(BOTH), "Task")["output"][0]["valueReference"]["type"] == "DiagnosticReport"
