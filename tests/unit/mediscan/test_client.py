"""What a submission sends, what an answer is read as, and that both clients offer the same."""

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mediscan
from mediscan import calls, replies
from mediscan.aio import AsyncBatch, AsyncClient, AsyncJob
from mediscan.calls import Submission
from mediscan.client import Batch, Client, Job
from mediscan.config import config
from mediscan.replies import Reply
from shared import contracts
from shared.job_state import JobState
from shared.job_view import view
from tests.support.samples import PROBLEM
from tests.unit.shared.test_job_view import COMPLETED, QUEUED

FAILED = replace(COMPLETED, state=JobState.FAILED, result=None, error=PROBLEM)


def test_a_bare_submission() -> None:
    call = calls.submit(b"pixels", {}, new_key="fresh")
    assert (call.method, call.path, call.fields) == ("POST", "v1/jobs", {})
    assert call.files == (("image", b"pixels"),)
    assert call.headers == {"Idempotency-Key": "fresh"}


def test_everything_a_submission_may_carry() -> None:
    options: Submission = {
        "priority": "stat",
        "metadata": {"ward": "Süd", "slice": 4},
        "model": "m/1",
        "deduplicate": True,
        "burned_in_text": True,
        "frame": 3,
        "prior_job_id": "job_1",
        "webhook_url": "https://receiver.example/hook",
        "webhook_events": ["job.completed", "job.failed"],
        "idempotency_key": "mine",
    }
    call = calls.submit(b"pixels", options, new_key="fresh")
    assert call.headers == {"Idempotency-Key": "mine"}
    assert json.loads(call.fields["metadata"]) == {"ward": "Süd", "slice": 4}
    assert {name: text for name, text in call.fields.items() if name != "metadata"} == {
        "priority": "stat",
        "model": "m/1",
        "deduplicate": "true",
        "burned_in_text": "true",
        "frame": "3",
        "prior_job_id": "job_1",
        "webhook_url": "https://receiver.example/hook",
        "webhook_events": "job.completed,job.failed",
    }


def test_an_id_of_ones_own_is_put() -> None:
    call = calls.submit(b"pixels", {"client_id": "scan-17"}, new_key="fresh")
    assert (call.method, call.path) == ("PUT", "v1/jobs/scan-17")


def test_a_batch_is_one_request() -> None:
    call = calls.submit_batch([b"a", b"b"], {"model": "m/1"}, new_key="fresh")
    assert (call.path, call.files) == ("v1/batches", (("image", b"a"), ("image", b"b")))
    assert calls.submit_archive(b"PK", {}, new_key="fresh").files == (("archive", b"PK"),)


def test_a_newer_servers_fields_are_passed_over() -> None:
    said = view(QUEUED).model_dump(mode="json") | {"new": 1}
    said["progress"]["newer"] = 2
    assert replies.parse(Reply(200, {}, json.dumps(said).encode()), contracts.JobView) == view(QUEUED)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"id": 1}'])
def test_an_answer_of_something_else_is_not_shown(body: bytes) -> None:
    with pytest.raises(mediscan.UnexpectedAnswerError) as caught:
        replies.parse(Reply(200, {"content-type": "text/html; charset=x"}, body), contracts.JobView)
    assert "text/html" in caught.value.detail
    assert "charset" not in caught.value.detail


def test_a_failed_job_has_no_result() -> None:
    with pytest.raises(mediscan.NoResultError) as caught:
        replies.result_of(view(FAILED))
    assert (caught.value.code, caught.value.job) == (PROBLEM.code, view(FAILED))
    assert replies.result_of(view(COMPLETED)) == COMPLETED.result


def test_results_hold_jobs_and_refusals_in_order() -> None:
    refused = contracts.Problem(type="/p", title="t", status=422, detail="d", code="bad_image")
    lines = [view(COMPLETED).model_dump_json(), refused.model_dump_json(), ""]
    assert list(replies.results(Reply(200, {}, "\n".join(lines).encode()))) == [view(COMPLETED), refused]


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://host",
        "http://",
        "http://host:port",
        "https://me:secret@host",
        "http://h/?q=1",
        "http://h:0",
    ],
)
def test_an_unusable_url_is_said_without_quoting_it(url: str) -> None:
    with pytest.raises(mediscan.ConfigurationError, match="MEDISCAN_URL") as caught:
        config(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_an_unusable_key_is_said_without_quoting_it(key: str) -> None:
    with pytest.raises(mediscan.ConfigurationError, match="MEDISCAN_API_KEY") as caught:
        config("http://h", key)
    assert key not in str(caught.value)


def test_arguments_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config().url == "http://127.0.0.1:8000/"
    monkeypatch.setenv("MEDISCAN_URL", "https://there/prefix/")
    monkeypatch.setenv("MEDISCAN_API_KEY", " key\n")
    assert (config().url, config().api_key) == ("https://there/prefix/", "key")
    assert (config("http://here", "mine").url, config("http://here", "mine").api_key) == (
        "http://here/",
        "mine",
    )
    assert "key" not in repr(config()).replace("api_key", "")


@pytest.mark.parametrize(("ours", "twin"), [(Client, AsyncClient), (Job, AsyncJob), (Batch, AsyncBatch)])
def test_both_clients_offer_the_same(ours: type[Any], twin: type[Any]) -> None:
    def offered(cls: type[Any]) -> dict[str, list[str]]:
        members = inspect.getmembers(cls, inspect.isfunction)
        return {name: list(inspect.signature(f).parameters) for name, f in members if name[:2] != "__"}

    assert offered(ours) == offered(twin)


def test_names_are_found_and_listed_and_others_are_not() -> None:
    assert mediscan.Client is Client
    assert {"Client", "AsyncClient", "MediScanError", "contracts"} <= set(dir(mediscan))
    with pytest.raises(AttributeError, match="nothing"):
        _ = mediscan.nothing


def test_names_for_type_checkers_are_the_names_there_are() -> None:
    source = Path(inspect.getfile(mediscan)).read_text()
    for name, home in mediscan._HOME.items():
        assert f"from {home} import {name} as {name}\n" in source
        assert getattr(mediscan, name) is not None
    assert source.count("    from mediscan.") == len(mediscan._HOME)
