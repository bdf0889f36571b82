from typing import Any

import pytest

from services.gemini_worker.http_failure import from_status, retry_after_s
from shared.contracts import UnavailableReason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (302, UnavailableReason.REQUEST_REJECTED),
        (400, UnavailableReason.REQUEST_REJECTED),
        (401, UnavailableReason.KEY_REJECTED),
        (403, UnavailableReason.KEY_REJECTED),
        (404, UnavailableReason.REQUEST_REJECTED),
        (429, UnavailableReason.RATE_LIMITED),
        (500, UnavailableReason.SERVER_ERROR),
        (503, UnavailableReason.SERVER_ERROR),
        (504, UnavailableReason.SERVER_ERROR),
    ],
)
def test_each_status_has_its_reason(status: int, reason: UnavailableReason) -> None:
    assert from_status(status, None, {}).reason is reason


def quota(*details: Any) -> dict[str, Any]:
    return {"error": {"code": 429, "details": list(details)}}


def retry_info(delay: Any) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        (None, {}, None),
        (quota(retry_info("3s")), {}, 3.0),
        (quota({"@type": "other", "retryDelay": "9s"}, retry_info("3.25s")), {}, 3.25),
        (quota(retry_info("0s")), {}, 0.0),
        (None, {"Retry-After": "7"}, 7.0),
        (quota(retry_info("3s")), {"Retry-After": "7"}, 7.0),
        (quota(retry_info("30s")), {"Retry-After": "7"}, 30.0),
        (None, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        (quota(retry_info("-1s")), {}, None),
        (quota(retry_info("inf")), {}, None),
        (quota(retry_info(None)), {}, None),
        (quota("not a detail"), {}, None),
        ({"error": "not an error"}, {}, None),
        ({"error": {"details": 5}}, {}, None),
        (["not", "a", "body"], {}, None),
    ],
)
def test_the_wait_the_server_asks_for(body: object, headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(body, headers) == seconds


def error_info(reason: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ([error_info("API_KEY_INVALID")], UnavailableReason.KEY_REJECTED),
        (["not a detail", retry_info("3s"), error_info("API_KEY_INVALID")], UnavailableReason.KEY_REJECTED),
        ([error_info("LOCATION_INVALID")], UnavailableReason.REQUEST_REJECTED),
        ([{"@type": "other", "reason": "API_KEY_INVALID"}], UnavailableReason.REQUEST_REJECTED),
    ],
)
def test_a_bad_request_may_be_a_bad_key(details: list[Any], reason: UnavailableReason) -> None:
    assert from_status(400, {"error": {"code": 400, "details": details}}, {}).reason is reason


def test_the_server_s_own_words_go_no_further() -> None:
    body = {"error": {"message": "Invalid API key: test-key", "details": []}}
    failure = from_status(400, body, {})
    assert "test-key" not in f"{failure} {failure.detail}"
