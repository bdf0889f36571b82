"""The knobs that every service has. Each service adds its own in its `settings.py`.

Read from the environment with the prefix `MEDISCAN_` (and, for secrets, from files in the folders that
`MEDISCAN_SECRETS_DIR` names, one a setting), here and nowhere else; built in the entry point and passed inward.
"""

import os
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from shared.errors import SetupError
from shared.names import Stage
from shared.sentinel_url import names_sentinels
from shared.webhooks.destinations import Destinations

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

#: Compose files pass an unset variable on as an empty one.
OptionalFile = Annotated[FilePath | None, BeforeValidator(lambda given: given or None)]

OptionalPort = Annotated[
    int | None, Field(ge=0, le=65535), BeforeValidator(lambda given: None if given == "" else given)
]

SECRETS_DIR_VARIABLE = "MEDISCAN_SECRETS_DIR"


class Settings(BaseSettings):
    """Shared by every service."""

    model_config = SettingsConfigDict(
        env_prefix="MEDISCAN_", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description=(
            "The ledger: a Redis or Valkey that fsyncs every write; `rediss://user:password@host:port/0` for TLS; "
            "`redis+sentinel://user:password@host:port,host:port,host:port/service/0` for the primary that sentinels "
            "name (`rediss+sentinel` with TLS)."
        ),
    )
    redis_replicas: int = Field(
        1,
        ge=0,
        description="Where sentinels name the ledger: replicas that must hold a step before anybody is told of it.",
    )
    broker_url: SecretStr = Field(
        SecretStr(""),
        description=(
            "The message queue; empty: the ledger's server. It holds no truth: no fsync needed. "
            "`amqp://user:password@host:port/vhost` for RabbitMQ, `amqps://` with TLS."
        ),
    )
    redis_ca_file: OptionalFile = Field(
        None,
        description="CA certificates (PEM) trusted beside the system's where ledger or broker speaks TLS.",
    )
    blob_url: str = Field(
        "file://var/blobs",
        description="Where images and results are kept: `file://<folder>` or `s3://<bucket>/<prefix>`.",
    )
    dicom_store: Literal["original", "deidentified"] = Field(
        "original",
        description=(
            "What is stored of a DICOM upload: `original`, or `deidentified`: a copy by the Basic Profile of DICOM "
            "PS3.15, made while the file comes in. The same for gateway and reaper."
        ),
    )
    log_level: str = Field(
        "INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$",
        description="Least severe level that is logged.",
    )
    log_format: str = Field(
        "auto",
        pattern="^(auto|json|text)$",
        description="`json`, `text`, or `auto`: text on a terminal, json elsewhere.",
    )
    startup_timeout_s: Seconds = Field(
        10, description="How long a starting service waits for the ledger before it gives up."
    )

    metrics_port: OptionalPort = Field(
        None,
        description="Port on which each process serves its Prometheus metrics; 0: any free one; empty: none.",
    )
    metrics_host: str = Field(
        "127.0.0.1",
        description="Address for that. Nobody is asked for a key there: keep it inside the house.",
    )

    otlp_endpoint: str = Field(
        "",
        pattern="^(https?://.+)?$",
        description="Where traces are sent (OTLP over HTTP), such as `http://collector:4318`; empty: there are none.",
    )

    job_deadline_s: Seconds = Field(900, description="A job not finished this long after submission expires.")
    gemini_grace_s: Seconds = Field(
        20, description="How long fusion waits for Gemini once the ML reading is there."
    )
    ml_lease_s: Seconds = Field(
        30, description="How long one worker may hold an ML reading; over the hard time limit."
    )
    gemini_lease_s: Seconds = Field(60, description="How long one worker may hold a Gemini reading.")
    fusion_lease_s: Seconds = Field(15, description="How long one worker may hold a fusion.")
    max_deliveries: int = Field(
        3, ge=1, description="How often a stage may be taken up before the job is given up as poison."
    )
    republish_after_s: Seconds = Field(
        5, description="An unclaimed message younger than this is not suspected to be lost."
    )
    retry_pause_s: Seconds = Field(
        1, description="Pause before a stage that failed unexpectedly is tried again; doubles each time."
    )
    heartbeat_ttl_s: Seconds = Field(
        15, description="A worker that has not been heard of for this long counts as gone."
    )
    cache_ttl_s: Seconds = Field(
        3600, description="How long a finished job stays in Redis after it was written to the blob store."
    )
    retention_s: Seconds = Field(
        30 * 86400,
        description="How long images and results are kept from submission, rounded up to the hour.",
    )

    idempotency_s: Seconds = Field(
        86_400,
        description="How long the ledger remembers an `Idempotency-Key`, and a caller's own id of a job.",
    )

    webhook_allow: str = Field(
        "",
        description=(
            "Where webhooks may go, with commas between: hosts, `.suffixes`, networks; empty: any public address. "
            "An address that is not public is sent to only where a network given here holds it."
        ),
    )
    webhook_http_loopback: bool = Field(
        default=False,
        description="Also send webhooks to `http://` on a loopback address: for trying them on one machine.",
    )

    @field_validator("webhook_allow")
    @classmethod
    def _destinations(cls, given: str) -> str:
        Destinations.parse(given)  # ValueError says what is wrong with it
        return given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.retention_s < self.job_deadline_s + 3600:
            raise ValueError("retention_s must be at least job_deadline_s + 3600")
        if self.idempotency_s < self.job_deadline_s + 3600:
            raise ValueError("idempotency_s must be at least job_deadline_s + 3600")
        if names_sentinels(self.redis_url.get_secret_value()) and not self.broker_url.get_secret_value():
            raise ValueError("broker_url must be given where redis_url names sentinels")
        return self

    def lease_s(self, stage: Stage) -> float:
        """How long one worker may hold a stage of a job."""
        leases = {
            Stage.ML: self.ml_lease_s,
            Stage.GEMINI: self.gemini_lease_s,
            Stage.FUSION: self.fusion_lease_s,
        }
        return leases[stage]

    @property
    def webhook_destinations(self) -> Destinations:
        """Where webhooks may go."""
        return Destinations.parse(self.webhook_allow, http_loopback=self.webhook_http_loopback)

    @property
    def effective_broker_url(self) -> str:
        """`broker_url`, or the ledger's where none is given; Celery spells a unix socket differently."""
        given = self.broker_url.get_secret_value()
        return given or self.redis_url.get_secret_value().replace("unix://", "redis+socket://", 1)

    @property
    def ledger_replicas(self) -> int:
        """How many replicas must hold a step before anybody is told of it; a server of its own has none."""
        return self.redis_replicas if names_sentinels(self.redis_url.get_secret_value()) else 0

    @property
    def secrets(self) -> frozenset[str]:
        """What must stand in no log: keys, and the passwords in URLs as written and as meant."""
        values = (value.get_secret_value() for _, value in self if isinstance(value, SecretStr))
        return frozenset(secret for value in values for secret in _secret_parts(value) if secret)


def _secret_parts(value: str) -> tuple[str, ...]:
    if "://" not in value:
        return (value,)
    try:
        url = urlsplit(value)
    except ValueError:
        return (value,)
    # redis-py takes the password of a unix socket from the query, and we that of sentinels.
    query = parse_qs(url.query)
    passwords = (url.password or "", *query.get("password", ()), *query.get("sentinel_password", ()))
    return (*passwords, *map(unquote, passwords))


S = TypeVar("S", bound=Settings)


def load(cls: type[S]) -> S:
    """Build settings from the environment; SetupError with one line that names each unusable variable."""
    folders = [folder for folder in os.environ.get(SECRETS_DIR_VARIABLE, "").split(os.pathsep) if folder]
    if not all(Path(folder).is_dir() for folder in folders):
        raise SetupError(f"{SECRETS_DIR_VARIABLE} is not a folder")
    try:
        return cls(_secrets_dir=folders)
    except SettingsError as error:
        # Names the setting and no value. Compose mounts a secret with the owner and mode it has on the host.
        raise SetupError(f"{error} (a secret's file must be readable by the service's user)") from error
    except ValidationError as error:
        # Names and rules only: an unusable value may be a secret.
        problems = [f"{_variable(cls, e['loc'])}: {e['msg']}" for e in error.errors()]
        raise SetupError("unusable setting: " + "; ".join(problems)) from error


def _variable(cls: type[Settings], loc: tuple[int | str, ...]) -> str:
    prefix = str(cls.model_config.get("env_prefix", ""))
    return (prefix + str(loc[0])).upper() if loc else "the combination"
