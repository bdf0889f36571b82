"""The gateway's knobs, on top of the shared ones. No key lives here: the gateway never talks to Gemini."""

import re
from ipaddress import ip_network
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from shared.names import DEFAULT_TENANT, TENANT_PATTERN
from shared.settings import Seconds, Settings

_MIB = 1 << 20
#: Characters of a secret that nobody guesses.
_LEAST_KEY = 32

#: As browsers send it: lower case, nothing behind the port. `*` and `null` are nobody's.
_ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


class GatewaySettings(Settings):
    """What an operator may turn on the HTTP side."""

    host: str = Field("127.0.0.1", description="Address that the gateway listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port that the gateway listens on; 0: any free one.")
    auth: Literal["open", "keys"] = Field(
        "open",
        description="`keys`: every caller needs an API key. `open`: nobody does; on a loopback address only.",
    )
    key_cache_s: Seconds = Field(
        5,
        description="How long a gateway remembers an API key: how soon a revoked one is refused at the latest.",
    )
    tenant: str = Field(
        DEFAULT_TENANT,
        pattern=f"^{TENANT_PATTERN}$",
        description="Tenant of every job while the gateway takes no keys; a key has its own.",
    )
    gemini_enabled: bool = Field(
        default=False, description="Ask Gemini for a second reading; its key is set at the Gemini worker."
    )
    max_upload_bytes: int = Field(20 * _MIB, ge=1024, description="Largest request body, in bytes.")
    max_pixels: int = Field(
        30_000_000, ge=1, description="Most pixels an image may have, width times height."
    )
    max_frames: int = Field(
        64, ge=1, description="Most frames of an image that is read with `frame=all`; one of more is refused."
    )
    max_metadata_bytes: int = Field(4096, ge=2, description="Largest `metadata` part, in bytes.")
    max_metadata_keys: int = Field(32, ge=0, description="Most entries in `metadata`.")
    dicom_uid_key: SecretStr = Field(
        SecretStr(""),
        description=(
            "Secret of at least 32 characters that decides the UIDs of de-identified copies; the same at every "
            "gateway, for as long as studies shall stay together. Needed with `dicom_store=deidentified`."
        ),
    )
    max_batch_items: int = Field(2000, ge=1, description="Most images in one batch.")
    max_batch_bytes: int = Field(
        512 * _MIB,
        ge=1024,
        description="Largest request body of a batch, and most that its zip may unpack to, in bytes.",
    )
    batch_timeout_s: Seconds = Field(
        600, description="A batch whose body is not received whole within this time is refused."
    )
    upload_timeout_s: Seconds = Field(
        60, description="A body not received whole within this time is refused."
    )
    stow_max_bytes: int = Field(
        512 * _MIB,
        ge=1024,
        description="Largest body of a STOW-RS request; each instance as `max_upload_bytes`.",
    )
    stow_max_instances: int = Field(500, ge=1, description="Most instances of a STOW-RS request.")
    stow_timeout_s: Seconds = Field(
        300, description="A STOW-RS request not received whole within this time is refused."
    )
    max_live_jobs: int = Field(
        10_000, ge=1, description="Most unfinished jobs in the whole house; over it submissions get a 503."
    )
    max_live_jobs_per_tenant_share: float = Field(
        0.5, gt=0, le=1, description="Share of `max_live_jobs` that one tenant may hold; over it a 429."
    )
    rate_per_minute: int | None = Field(
        None,
        ge=1,
        description="Most submissions a minute of a key that has no limit of its own; over it a 429.",
    )
    daily_quota: int | None = Field(
        None,
        ge=1,
        description="Most jobs a day (UTC) of a key that has no quota of its own; over it a 429.",
    )
    max_ledger_memory: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Part of the ledger's `maxmemory` over which no job is taken: the rest is for accepted ones.",
    )
    min_free_blob_bytes: int = Field(
        512 * _MIB,
        ge=0,
        description="Free bytes on the disk of a file blob store below which no job is taken.",
    )
    max_concurrent_uploads: int = Field(
        64,
        ge=1,
        description="Most uploads at once in this gateway process; over it a 503. Bounds its memory.",
    )
    max_wait_s: int = Field(
        60,
        ge=0,
        description="Longest that a request may wait for a job to change, in seconds; 0: none waits.",
    )
    max_waits: int = Field(
        2000, ge=1, description="Most requests that wait at once in this gateway process; over it a 503."
    )
    max_waits_per_tenant: int = Field(
        500, ge=1, description="Most requests of one tenant that wait at once in this process; over it a 429."
    )
    max_stream_s: Seconds = Field(
        600,
        description="Longest that one event stream lasts; its reader comes again, and its key is checked again.",
    )
    stream_heartbeat_s: Seconds = Field(
        15, description="How long an event stream may be silent before it says that it still lives."
    )
    wait_look_s: Seconds = Field(
        15,
        description="How often waiting requests look for a change that they were not told of, all in one query.",
    )
    blocking_threads: int = Field(
        16, ge=1, description="Threads for ledger, queue and blob store: how many requests may wait on them."
    )
    shutdown_timeout_s: int = Field(
        10, ge=1, description="How long a stopping gateway lets running requests go on, in seconds."
    )
    hsts_s: int = Field(
        0,
        ge=0,
        description="How long browsers shall insist on HTTPS, where a proxy speaks it; 0: nothing is said.",
    )
    trusted_proxies: str = Field(
        "",
        description=(
            "Addresses or networks of proxies whose `X-Forwarded-For` and `-Proto` are believed, with commas "
            "between; empty: nobody's."
        ),
    )

    cors_origins: str = Field(
        "",
        description=(
            "Origins whose pages may use the API from a browser, such as `https://ris.example.org`, with commas "
            "between; empty: none but our own."
        ),
    )

    @model_validator(mode="after")
    def _can_deidentify(self) -> Self:
        if self.dicom_store == "deidentified" and len(self.dicom_uid_key.get_secret_value()) < _LEAST_KEY:
            raise ValueError(f"dicom_uid_key must have at least {_LEAST_KEY} characters to de-identify")
        return self

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, given: str) -> str:
        for origin in _split(given):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    "an origin is like https://ris.example.org or http://localhost:3000, no more"
                )
        return given

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, given: str) -> str:
        for address in _split(given):
            ip_network(address)  # ValueError says what is wrong with it
        return given

    @property
    def proxies(self) -> list[str]:
        """`trusted_proxies`, one by one."""
        return _split(self.trusted_proxies)

    @property
    def origins(self) -> list[str]:
        """`cors_origins`, one by one."""
        return _split(self.cors_origins)


def _split(given: str) -> list[str]:
    return [address for part in given.split(",") if (address := part.strip())]
