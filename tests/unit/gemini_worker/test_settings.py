import pytest

from services.gemini_worker.client import build
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.errors import SetupError
from shared.settings import load


def test_there_is_no_key_unless_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDISCAN_GEMINI_API_KEY", raising=False)
    assert load(GeminiWorkerSettings).gemini_api_key is None


def test_a_blank_key_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_GEMINI_API_KEY", " ")
    assert load(GeminiWorkerSettings).gemini_api_key is None


def test_the_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_GEMINI_API_KEY", "test-key")
    settings = load(GeminiWorkerSettings)
    assert settings.gemini_api_key is not None
    assert settings.gemini_api_key.get_secret_value() == "test-key"
    assert "test-key" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GEMINI_CLIENT", "something-else"),
        ("GEMINI_MODEL", "models/../secrets"),
        ("GEMINI_BASE_URL", "ftp://127.0.0.1"),
        ("GEMINI_TIMEOUT_S", "0"),
        ("GEMINI_ATTEMPTS", "0"),
        ("GEMINI_CONCURRENCY", "0"),
        ("GEMINI_MAX_IMAGE_SIDE_PX", "8"),
        ("GEMINI_REQUESTS_PER_MINUTE", "-1"),
        ("GEMINI_DAILY_BUDGET", "1.5"),
        ("GEMINI_CIRCUIT_WINDOW_S", "0"),
        ("GEMINI_CIRCUIT_MIN_CALLS", "0"),
        ("GEMINI_CIRCUIT_FAILURE_RATIO", "0"),
        ("GEMINI_CIRCUIT_FAILURE_RATIO", "1.1"),
    ],
)
def test_an_unusable_value_stops_start_up(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MEDISCAN_{name}", value)
    with pytest.raises(SetupError, match=f"MEDISCAN_{name}"):
        load(GeminiWorkerSettings)


def test_the_budget_must_end_before_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_GEMINI_TIMEOUT_S", "60")
    monkeypatch.setenv("MEDISCAN_GEMINI_LEASE_S", "60")
    with pytest.raises(SetupError, match="gemini_timeout_s must be under gemini_lease_s"):
        load(GeminiWorkerSettings)


def test_the_first_pause_is_not_over_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_GEMINI_CIRCUIT_COOLDOWN_S", "20")
    monkeypatch.setenv("MEDISCAN_GEMINI_CIRCUIT_MAX_COOLDOWN_S", "10")
    with pytest.raises(SetupError, match="must not be over gemini_circuit_max_cooldown_s"):
        load(GeminiWorkerSettings)


def test_what_every_service_checks_is_checked_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_RETENTION_S", "1")
    with pytest.raises(SetupError, match="retention_s must be at least"):
        load(GeminiWorkerSettings)


def test_the_key_s_description_states_google_s_terms() -> None:
    description = GeminiWorkerSettings.model_fields["gemini_api_key"].description
    assert description is not None
    assert "forbid use of the API in clinical practice or for medical advice" in description


def test_no_reader_without_a_key() -> None:
    with pytest.raises(SetupError, match="MEDISCAN_GEMINI_API_KEY"):
        build(GeminiWorkerSettings(gemini_api_key=None))
