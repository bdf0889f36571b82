"""The wire format is what its snapshots say; nobody writes a field that is not in it, and a newer one is read past."""

import json
import math
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from shared.contracts import DISCLAIMER, DicomSource, FusedResult, GeminiReading, Message, MlReading, Problem
from shared.ledger.record import parse
from shared.names import DEFAULT_TENANT, JobRef, new_job_id
from tests.support.samples import (
    PROBLEM,
    RATE_LIMITED,
    SKIPPED,
    dicom_source,
    fused_result,
    gemini_reading,
    image_facts,
    ml_reading,
)
from tests.support.stored_jobs import job_fields
from tests.unit.shared.schemas import SNAPSHOTS, messages, path, schema

EXAMPLES: list[BaseModel] = [
    ml_reading(),
    gemini_reading(),
    gemini_reading(label=None),
    fused_result(),
    image_facts(),
    image_facts(media_type="application/dicom", dicom=dicom_source(frame=3, number_of_frames=4)),
    image_facts(media_type="application/dicom", dicom=dicom_source(frame="all")),
    RATE_LIMITED,
    SKIPPED,
    PROBLEM,
]


# --- the wire format --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", messages())
def test_a_message_is_as_its_snapshot_says(name: str) -> None:
    refresh = "changed on purpose? .venv/bin/python -m tests.unit.shared.schemas"

    assert path(name).read_text() == schema(messages()[name]), refresh


def test_there_is_no_snapshot_of_a_message_that_is_no_more() -> None:
    assert {file.stem for file in SNAPSHOTS.glob("*.json")} == set(messages())


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire(message: BaseModel) -> None:
    assert type(message).model_validate_json(message.model_dump_json()) == message


def test_a_reading_from_before_cards_named_their_finding_is_read() -> None:
    before = ml_reading().model_dump(mode="json", exclude={"finding"})

    assert MlReading.model_validate(before).finding is None


@pytest.mark.parametrize("message", [one for one in EXAMPLES if isinstance(one, Message)], ids=type)
def test_what_a_newer_version_wrote_is_read_without_what_is_new(message: Message) -> None:
    newer = message.model_dump(mode="json") | {"surprise": 1}

    assert type(message).tolerant(json.dumps(newer)) == message


def test_a_newer_workers_job_is_read() -> None:
    """As while containers are replaced one by one: also deep within a reading, and where a reading may be missing."""
    ref, fields = JobRef(DEFAULT_TENANT, new_job_id()), job_fields(0.0)
    assert parse(ref, fields).result is not None

    newer = {name: _newer(text) if text.startswith("{") else text for name, text in fields.items()}
    newer["metadata"] = fields["metadata"]

    assert parse(ref, newer) == parse(ref, fields)


def _newer(text: str) -> str:
    said = json.loads(text) | {"surprise": {"of": "tomorrow"}}
    if "model" in said:
        said["model"]["surprise"] = 1
    return json.dumps(said)


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(messages()) - {"Problem"}))
def test_an_unknown_field_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        messages()[name].model_validate({"surprise": 1})


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_does_not_change(message: BaseModel) -> None:
    field = next(iter(type(message).model_fields))

    with pytest.raises(ValidationError, match="frozen"):
        setattr(message, field, None)


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf])
@pytest.mark.parametrize("make", [ml_reading, gemini_reading, fused_result])
def test_a_probability_lies_between_0_and_1(make: Any, value: float) -> None:
    with pytest.raises(ValidationError, match="p_positive"):
        make(p_positive=value)


@pytest.mark.parametrize("make", [ml_reading, gemini_reading])
@pytest.mark.parametrize("value", [-0.01, math.nan, math.inf])
def test_a_duration_is_finite_and_not_negative(make: Any, value: float) -> None:
    with pytest.raises(ValidationError, match="timings_ms"):
        make(timings_ms={"total": value})


@pytest.mark.parametrize("model", [MlReading, GeminiReading])
def test_a_reading_is_not_taken_for_a_missing_one(model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="state"):
        model.model_validate_json(RATE_LIMITED.model_dump_json())


@pytest.mark.parametrize("field", ["study_instance_uid", "series_instance_uid", "sop_instance_uid"])
@pytest.mark.parametrize("value", ["", "1.", ".1", "1..2", "1.2/3", "1" * 65, "1.2\n"])
def test_a_uid_is_one(field: str, value: str) -> None:
    with pytest.raises(ValidationError, match=field):
        dicom_source(**{field: value})


@pytest.mark.parametrize("frame", [0, -1, "first", None])
def test_a_frame_is_a_number_from_1_or_a_word(frame: Any) -> None:
    with pytest.raises(ValidationError, match="frame"):
        DicomSource.model_validate_json(json.dumps({**dicom_source().model_dump(), "frame": frame}))


# --- what is promised -------------------------------------------------------------------------------------


def test_every_result_says_that_it_is_no_diagnosis() -> None:
    assert json.loads(fused_result().model_dump_json())["disclaimer"] == DISCLAIMER
    assert FusedResult.model_fields["disclaimer"].default == DISCLAIMER


@pytest.mark.parametrize(("reason", "abstained"), [(None, False), ("inconclusive", True)])
def test_a_reader_abstained_if_it_says_why(reason: str | None, abstained: bool) -> None:
    assert ml_reading(abstain_reason=reason).abstained is abstained


def test_a_problem_has_the_members_of_rfc_9457() -> None:
    assert {"type", "title", "status", "detail", "instance"} <= set(Problem.model_fields)
