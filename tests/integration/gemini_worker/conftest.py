from collections.abc import Iterator
from typing import cast

import pytest

from services.gemini_worker.client import build
from services.gemini_worker.reader import SecondReader
from services.gemini_worker.settings import ClientName, GeminiWorkerSettings
from tests.fake_gemini import FakeGemini


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both libraries obey proxy variables, which a developer's machine may set."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def fake() -> Iterator[FakeGemini]:
    with FakeGemini() as server:
        yield server


@pytest.fixture(params=["google-genai", "google-generativeai"])
def client_name(request: pytest.FixtureRequest) -> ClientName:
    return cast(ClientName, request.param)


@pytest.fixture
def settings(fake: FakeGemini, client_name: ClientName) -> GeminiWorkerSettings:
    """One attempt, with more time than a busy machine needs; tests of the budget shorten it."""
    return GeminiWorkerSettings(
        gemini_api_key="test-key",
        gemini_client=client_name,
        gemini_base_url=fake.base_url,
        gemini_timeout_s=10,
        gemini_attempts=1,
    )


@pytest.fixture
def reader(settings: GeminiWorkerSettings) -> SecondReader:
    return build(settings)
