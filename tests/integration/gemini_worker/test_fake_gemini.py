"""The fake as a process of its own: what tests of the whole cluster rely on."""

import base64
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

URL = "/v1beta/models/gemini-3.8-flash:generateContent"
KEY = {"x-goog-api-key": "test-key"}
QUESTION = {
    "contents": [
        {"parts": [{"inlineData": {"mimeType": "image/png", "data": "cGl4ZWxz"}}, {"text": "Well?"}]}
    ]
}


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    command = [sys.executable, "-m", "tests.fake_gemini", "--port", "0", "--behaviour", "overloaded"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with httpx.Client(base_url=process.stdout.readline().strip(), trust_env=False) as client:
            yield client
        process.terminate()
    assert process.returncode == 0


def test_it_starts_as_told_and_is_told_otherwise_later(http: httpx.Client) -> None:
    assert http.post(URL, headers=KEY, json=QUESTION).status_code == 503
    script = [{"kind": "rate_limited", "retry_delay_s": 3}, {"kind": "answer", "classification": "Negative"}]
    assert http.put("/_behaviour", json=script).status_code == 200
    limited = http.post(URL, headers=KEY, json=QUESTION)
    assert limited.json()["error"]["details"][-1]["retryDelay"] == "3s"
    for _ in range(2):
        answer = http.post(URL, headers=KEY, json=QUESTION).json()
        assert '"Negative"' in answer["candidates"][0]["content"]["parts"][0]["text"]


def test_it_writes_down_what_it_received(http: httpx.Client) -> None:
    http.post(URL, headers=KEY, json=QUESTION)
    (request,) = http.get("/_requests").json()
    assert b"Well?" in base64.b64decode(request["raw_base64"])
    http.delete("/_requests")
    assert http.get("/_requests").json() == []


@pytest.mark.parametrize("script", [[{"kind": "dance"}], [{"kind": "answer", "speed": 1}], "answer"])
def test_it_refuses_to_be_told_nonsense(http: httpx.Client, script: object) -> None:
    assert http.put("/_behaviour", json=script).status_code == 422


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/v1beta/models/nonsense:generateContent", KEY, QUESTION, 404),
        (URL, {}, QUESTION, 403),
        (URL, KEY | {"x-server-timeout": "5"}, QUESTION, 400),
        (URL, KEY, {"contents": [{"parts": [{"text": "no image"}]}]}, 400),
        (URL, KEY, {"contents": [{"parts": [{"inlineData": {"data": "%"}}]}]}, 400),
        (URL, KEY, {}, 400),
        (URL, KEY, [], 400),
    ],
)
def test_it_refuses_what_the_real_one_would(
    http: httpx.Client, path: str, headers: dict[str, str], body: object, status: int
) -> None:
    response = http.post(path, headers=headers, json=body)
    assert response.status_code == response.json()["error"]["code"] == status


def test_the_key_may_be_in_the_query(http: httpx.Client) -> None:
    http.put("/_behaviour", json=[{"kind": "answer"}])
    assert http.post(URL, params={"key": "test-key"}, json=QUESTION).status_code == 200
