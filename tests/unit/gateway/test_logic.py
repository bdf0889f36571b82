"""The gateway's decisions."""

from dataclasses import replace
from typing import Any

import pytest

from services.gateway.logic import (
    Heartbeats,
    Submission,
    check_cancelled,
    etag,
    is_unchanged,
    poll_headers,
    readiness,
    stages_to_publish,
    submission,
    wanted_again,
)
from shared.contracts import Circuit, CircuitState, ImageFacts, JobView, SkippedReading, SkippedReason
from shared.errors import BadUploadError, ConflictError
from shared.job_state import TERMINAL, JobState
from shared.job_view import view
from shared.ledger.record import parse
from shared.names import Priority, Stage
from tests.support.samples import dicom_source, image_facts, new_ref
from tests.unit.gateway.forms import settings

#: What the ledger holds of a job at version 7.
STORED = {
    "version": "7",
    "priority": "routine",
    "created_at": "1700000000",
    "deadline_at": "1700000900",
    "image": image_facts().model_dump_json(),
    "metadata": "{}",
    "ml.state": "pending",
    "gemini.state": "pending",
    "fusion.state": "waiting",
}
CLOSED = Circuit(state=CircuitState.CLOSED)
ALL_ALIVE = Heartbeats({Stage.ML: 1, Stage.GEMINI: 1, Stage.FUSION: 1}, reaper=True, circuit=CLOSED)


def job(state: JobState) -> JobView:
    return view(parse(new_ref(), STORED | {"state": state}))


def test_a_weak_tag_is_known_by_whoever_was_told_it() -> None:
    tag = 'W/"job.7"'
    assert [is_unchanged(known, tag) for known in (tag, '"job.7"', '"job.8"', None)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_job_is_routine_and_without_metadata_unless_the_form_says_so() -> None:
    new = submission(image_facts(), {}, settings())
    assert (new.priority, new.metadata) == (Priority.ROUTINE, {})


def test_without_gemini_its_reading_is_skipped_and_not_published() -> None:
    new = submission(image_facts(), {}, settings(gemini_enabled=False))
    assert new.gemini_skipped is not None
    assert new.gemini_skipped.reason == "not_configured"
    assert stages_to_publish(new.gemini_skipped) == (Stage.ML,)


def test_with_gemini_both_readings_are_published() -> None:
    new = submission(image_facts(), {}, settings(gemini_enabled=True))
    assert new.gemini_skipped is None
    assert stages_to_publish(new.gemini_skipped) == (Stage.ML, Stage.GEMINI)


@pytest.mark.parametrize("text", [b"", b"urgent", b"STAT", b"stat ", b"\xff"])
def test_an_unknown_priority_is_refused(text: bytes) -> None:
    with pytest.raises(BadUploadError, match="`stat` or `routine`"):
        submission(image_facts(), {"priority": text}, settings())


def test_the_etag_is_the_jobs_id_and_version() -> None:
    found = job(JobState.QUEUED)
    assert etag(found) == f'"{found.id}.7"'


@pytest.mark.parametrize("header", ['"a"', 'W/"a"', '"b", "a"', "*"])
def test_what_the_caller_has_is_unchanged(header: str) -> None:
    assert is_unchanged(header, '"a"')


@pytest.mark.parametrize("header", [None, "", '"b"', "a"])
def test_what_the_caller_has_not_is_sent(header: str | None) -> None:
    assert not is_unchanged(header, '"a"')


@pytest.mark.parametrize("state", JobState)
def test_a_poller_is_told_when_to_come_back_until_the_job_is_over(state: JobState) -> None:
    assert ("Retry-After" in poll_headers(job(state))) == (state not in TERMINAL)


@pytest.mark.parametrize("state", sorted(TERMINAL - {JobState.CANCELLED}))
def test_a_job_that_ended_otherwise_cannot_be_cancelled(state: JobState) -> None:
    with pytest.raises(ConflictError, match=state):
        check_cancelled(state)


def test_a_cancelled_job_may_be_cancelled_again() -> None:
    check_cancelled(JobState.CANCELLED)


def test_all_there_is_ready() -> None:
    found = readiness(ALL_ALIVE, blobs_writable=True, gemini_enabled=True)
    assert (found.status, found.missing, found.degraded) == ("ready", (), ())


def test_without_a_ledger_only_what_is_known_is_named() -> None:
    found = readiness(None, blobs_writable=False, gemini_enabled=True)
    assert (found.status, found.missing, found.workers) == ("unavailable", ("ledger", "blob_store"), None)


@pytest.mark.parametrize("stage", [Stage.ML, Stage.FUSION])
def test_no_result_without_these_workers(stage: Stage) -> None:
    heard = Heartbeats({**ALL_ALIVE.workers, stage: 0}, reaper=True, circuit=CLOSED)
    found = readiness(heard, blobs_writable=True, gemini_enabled=True)
    assert (found.status, found.missing) == ("unavailable", (f"{stage}_worker",))


def test_gemini_and_the_reaper_only_degrade() -> None:
    heard = Heartbeats({**ALL_ALIVE.workers, Stage.GEMINI: 0}, reaper=False, circuit=CLOSED)
    found = readiness(heard, blobs_writable=True, gemini_enabled=True)
    assert (found.status, found.degraded) == ("degraded", ("gemini_worker", "reaper"))


def test_a_gemini_worker_nobody_asks_is_not_missed() -> None:
    heard = Heartbeats({**ALL_ALIVE.workers, Stage.GEMINI: 0}, reaper=True, circuit=CLOSED)
    assert readiness(heard, blobs_writable=True, gemini_enabled=False).status == "ready"


@pytest.mark.parametrize("state", [CircuitState.OPEN, CircuitState.HALF_OPEN])
def test_a_gemini_that_is_left_alone_degrades_and_says_why(state: CircuitState) -> None:
    circuit = Circuit(state=state, cause="timeout", retry_in_s=8)
    heard = replace(ALL_ALIVE, circuit=circuit)
    found = readiness(heard, blobs_writable=True, gemini_enabled=True)
    assert (found.status, found.degraded, found.gemini_circuit) == ("degraded", ("gemini_circuit",), circuit)


def test_a_circuit_nobody_needs_is_not_shown() -> None:
    heard = replace(ALL_ALIVE, circuit=Circuit(state=CircuitState.OPEN, cause="timeout", retry_in_s=8))
    found = readiness(heard, blobs_writable=True, gemini_enabled=False)
    assert (found.status, found.gemini_circuit) == ("ready", None)


# --- which frame, and what leaves the house ---------------------------------------------------------------

MANY = image_facts(media_type="application/dicom", dicom=dicom_source(number_of_frames=5))


def wished(frame: bytes, image: ImageFacts = MANY, **knobs: Any) -> Submission:
    return submission(image, {"frame": frame}, settings(**knobs))


@pytest.mark.parametrize(
    ("frame", "found"), [(b"", "middle"), (b"middle", "middle"), (b"all", "all"), (b"5", 5), (b"01", 1)]
)
def test_the_frame_that_is_wished_for_is_kept_with_the_image(frame: bytes, found: str | int) -> None:
    dicom = wished(frame).image.dicom
    assert dicom is not None
    assert dicom.frame == found


@pytest.mark.parametrize(
    "frame", [b"0", b"6", b"-1", b"first", b"1.0", b" 1", "²".encode(), b"99999999999999"]
)
def test_a_frame_that_is_none_is_refused(frame: bytes) -> None:
    with pytest.raises(BadUploadError) as refused:
        wished(frame)
    assert refused.value.code == "bad_frame"


def test_a_png_has_no_frames() -> None:
    with pytest.raises(BadUploadError, match="one picture"):
        wished(b"all", image_facts())


def test_no_more_frames_are_read_than_may_be() -> None:
    with pytest.raises(BadUploadError) as refused:
        wished(b"all", max_frames=4)
    assert refused.value.code == "too_many_frames"
    assert wished(b"all", max_frames=5).image.dicom is not None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"burned_in_text": b"true"}, "burned_in_text"),
        ({"frame": b"all"}, "all_frames"),
        ({"frame": b"all", "burned_in_text": b"true"}, "burned_in_text"),
        ({"frame": b"2", "burned_in_text": b"false"}, None),
    ],
)
def test_what_gemini_is_not_asked_about(fields: dict[str, bytes], reason: str | None) -> None:
    skipped = submission(MANY, fields, settings(gemini_enabled=True)).gemini_skipped
    assert (skipped.reason if skipped else None) == reason


def test_what_was_said_of_writing_is_said_again_when_it_is_tried_again() -> None:
    knobs = settings(gemini_enabled=True)
    skipped = SkippedReading(reason=SkippedReason.BURNED_IN_TEXT)
    stored = STORED | {
        "gemini.state": "skipped",
        "gemini.reading": skipped.model_dump_json(),
        "state": "failed",
    }
    again = wanted_again(view(parse(new_ref(), stored)), knobs)
    assert again.gemini_skipped == skipped
