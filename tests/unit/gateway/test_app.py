"""The application put together: what it imports, what it says of itself, what it says when it breaks."""

import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from services.gateway.app import create_app
from services.gateway.resources import open_resources
from tests.unit.gateway.forms import receiver, run, settings

FORBIDDEN = (
    "tensorflow",
    "keras",
    "ai_edge_litert",
    "tflite_runtime",
    "numpy",
    "google.genai",
    "google.generativeai",
)
WORKERS = ("services.ml_worker", "services.gemini_worker", "services.fusion", "shared.image")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    resources = open_resources(settings(blob_url=f"file://{tmp_path}"))
    yield create_app(resources)
    resources.close()


def ask(
    app: FastAPI, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[bytes, bytes], bytes]:
    """One request straight into the application: status, headers, body."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        "query_string": b"",
        "root_path": "",
    }
    run(app(scope, receiver([]), send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(part.get("body", b"") for part in sent[1:])


def test_it_imports_no_worker_and_no_model_runtime() -> None:
    listing = "import services.gateway.app, services.gateway.__main__, sys; print('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    loaded = result.stdout.split()
    assert "services.gateway.app" in loaded
    assert [name for name in loaded if name.startswith(FORBIDDEN + WORKERS)] == []


def test_openapi_describes_the_form_and_the_errors(app: FastAPI) -> None:
    document: dict[str, Any] = app.openapi()
    submit = document["paths"]["/v1/jobs"]["post"]
    assert set(submit["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]) == {
        "image",
        "priority",
        "metadata",
        "model",
        "prior_job_id",
        "deduplicate",
        "frame",
        "burned_in_text",
        "webhook_url",
        "webhook_events",
    }
    assert submit["responses"]["202"]["content"]["application/json"]["schema"]["$ref"].endswith("/JobView")
    for operations in document["paths"].values():
        for operation in operations.values():
            assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
            assert "422" not in operation["responses"]


def test_an_unexpected_error_says_nothing_to_the_caller_and_no_data_to_the_log(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    quoted = "patient Jane" + " Roe"

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError(quoted)

    with caplog.at_level(logging.INFO):
        status, headers, body = ask(app, "/broken")

    assert (status, headers[b"content-type"]) == (500, b"application/problem+json")
    assert b"internal_error" in body
    for secret in ("Jane", "Traceback", "broken()"):
        assert secret.encode() not in body
    assert "unexpected ValueError" in caplog.text
    assert "in broken" in caplog.text
    assert "Jane" not in caplog.text


def test_the_access_log_names_the_route_and_never_the_path(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert ask(app, "/v1/jobs/-Jane-Roe")[0] == 404
        assert ask(app, "/Jane-Roe")[0] == 404
    assert [record.__dict__["route"] for record in caplog.records] == ["/v1/jobs/{job_id}", "(no route)"]
    assert "Jane" not in caplog.text
