"""An unusable setting stops start-up with one line that names it and repeats no value."""

import traceback
from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from shared.errors import SetupError
from shared.settings import Settings, load

UNUSABLE = {
    "LOG_LEVEL": "LOUD-hunter2",
    "LOG_FORMAT": "xml-hunter2",
    "STARTUP_TIMEOUT_S": "0",
    "JOB_DEADLINE_S": "-1",
    "GEMINI_GRACE_S": "hunter2",
    "ML_LEASE_S": "inf",
    "GEMINI_LEASE_S": "nan",
    "FUSION_LEASE_S": "",
    "MAX_DELIVERIES": "0",
    "REPUBLISH_AFTER_S": "1e999",
    "RETRY_PAUSE_S": "1,5",
    "HEARTBEAT_TTL_S": "-inf",
    "CACHE_TTL_S": "soon",
    "RETENTION_S": "0",
}


class WithKey(Settings):
    """As a service with a secret has it."""

    key: SecretStr = Field(min_length=8)


@pytest.mark.parametrize(("name", "value"), UNUSABLE.items())
def test_an_unusable_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"MEDISCAN_{name}", value)

    with pytest.raises(SetupError, match=f"MEDISCAN_{name}: ") as raised:
        load(Settings)

    assert "\n" not in raised.value.detail
    assert "hunter2" not in raised.value.detail


def test_every_unusable_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_MAX_DELIVERIES", "0")
    monkeypatch.setenv("MEDISCAN_LOG_LEVEL", "LOUD")

    with pytest.raises(SetupError, match=r"MEDISCAN_LOG_LEVEL.*MEDISCAN_MAX_DELIVERIES"):
        load(Settings)


def test_an_unusable_combination_names_its_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_RETENTION_S", "900")

    with pytest.raises(SetupError, match="retention_s must be at least job_deadline_s") as raised:
        load(Settings)

    assert "\n" not in raised.value.detail


def test_no_secret_is_in_the_line_nor_in_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_KEY", "hunter2")
    monkeypatch.setenv("MEDISCAN_REDIS_URL", "redis://:hunter2@host/0")
    monkeypatch.setenv("MEDISCAN_RETENTION_S", "900")

    with pytest.raises(SetupError, match="MEDISCAN_KEY") as raised:
        load(WithKey)

    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_a_secret_is_read_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mediscan_key").write_text("hunter2hunter2\n")
    monkeypatch.setenv("MEDISCAN_SECRETS_DIR", str(tmp_path))

    settings = load(WithKey)

    assert settings.key.get_secret_value() == "hunter2hunter2"
    assert "hunter2" not in repr(settings)


def test_a_secret_that_this_user_may_not_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError

    (tmp_path / "mediscan_redis_url").write_text("redis://somewhere")
    monkeypatch.setenv("MEDISCAN_SECRETS_DIR", str(tmp_path))
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SetupError, match=r'"redis_url".*must be readable'):
        load(Settings)


def test_a_secrets_folder_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDISCAN_SECRETS_DIR", str(tmp_path / "none"))

    with pytest.raises(SetupError, match="MEDISCAN_SECRETS_DIR is not a folder"):
        load(Settings)


def test_without_any_variable_the_defaults_hold() -> None:
    assert load(Settings) == Settings()


def test_the_broker_is_the_ledgers_server_unless_given() -> None:
    assert Settings(redis_url="redis://a/0").effective_broker_url == "redis://a/0"
    assert Settings(redis_url="unix:///a.sock").effective_broker_url == "redis+socket:///a.sock"
    assert Settings(redis_url="redis://a/0", broker_url="amqp://b").effective_broker_url == "amqp://b"


def test_settings_do_not_change_after_start() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().log_level = "DEBUG"  # type: ignore[misc]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    assert Settings.model_fields[name].description


def test_passwords_are_in_no_repr_and_known_to_be_secret() -> None:
    settings = Settings(redis_url="rediss://u:p%40ss@host/0", broker_url="amqp://u:other@host")
    shown = f"{settings!r} {settings} {settings.model_dump()}"
    assert not any(secret in shown for secret in ("p%40ss", "p@ss", "other"))
    assert settings.secrets == {"p%40ss", "p@ss", "other"}


def test_a_password_in_a_query_is_secret_too() -> None:
    assert "hunter2" in Settings(redis_url="unix://u@/a.sock?password=hunter2").secrets


def test_several_folders_of_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, setting, value in (("a", "redis_url", "redis://a/0"), ("b", "broker_url", "redis://b/0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"mediscan_{setting}").write_text(value)
    monkeypatch.setenv("MEDISCAN_SECRETS_DIR", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    settings = load(Settings)
    assert settings.redis_url.get_secret_value() == "redis://a/0"
    assert settings.broker_url.get_secret_value() == "redis://b/0"


def test_a_ca_file_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDISCAN_REDIS_CA_FILE", "")
    assert load(Settings).redis_ca_file is None
    monkeypatch.setenv("MEDISCAN_REDIS_CA_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(SetupError, match="MEDISCAN_REDIS_CA_FILE"):
        load(Settings)
