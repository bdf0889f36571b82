"""The knobs of the embedded cluster; everything else is passed on to the services as it is."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class EmbeddedSettings(BaseSettings):
    """Where the embedded cluster lives, and which parts it need not start."""

    model_config = SettingsConfigDict(env_prefix="MEDISCAN_", extra="ignore", frozen=True)

    redis_url: SecretStr = Field(
        SecretStr(""), description="A Redis or Valkey of your own for the ledger; empty: start one."
    )
    broker_url: SecretStr = Field(SecretStr(""), description="A broker of your own; empty: start one.")
    port: int | None = Field(
        None, ge=0, le=65535, description="Port of the gateway; `make run` takes 8000 if unset."
    )
    var_dir: Path = Field(
        Path("var"), description="Folder for data, logs and sockets of the embedded cluster."
    )
    gemini_api_key: SecretStr | None = Field(
        None, description="If set, Gemini is asked for a second reading."
    )
