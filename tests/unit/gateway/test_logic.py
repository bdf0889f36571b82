"""The gateway's decisions."""

from dataclasses import replace

import pytest

from services.gateway.logic import (
    Heartbeats,
    check_cancelled,
    etag,
    is_unchanged,
    poll_headers,
    readiness,
    stages_to_publish,
    submission,
)
from shared.contracts import Circuit, CircuitState, JobView
from shared.errors import BadUploadError, ConflictError
from shared.job_state import TERMINAL, JobState
from shared.job_view import view
from shared.ledger.record import parse
from shared.names import Priority, Stage
from tests.support.samples import image_facts, new_ref
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
