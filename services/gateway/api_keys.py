"""What an API key is: its text, what is kept of it, and whether it is good. Pure.

A key reads `mediscan_<id>_<secret>`: a prefix that scanners of leaked secrets can find, an id that may be
logged, and 256 random bits. Only the SHA-256 of the secret is kept. A slow, salted hash (argon2, bcrypt) would
protect a secret that a person chose and a dictionary holds; 256 random bits are in no dictionary, and a hash
that takes 50 ms a request would be a way to keep the gateway busy.
"""

import hashlib
import hmac
import re
import secrets
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PositiveInt, StringConstraints

from shared.errors import UnauthenticatedError
from shared.names import TENANT_PATTERN

_TOKEN = re.compile(r"mediscan_([0-9a-f]{12})_([0-9a-f]{64})")
_SECRET_BYTES = 32
_ID_BYTES = 6
_NOBODY = "0" * 64

Label = Annotated[str, StringConstraints(max_length=100, pattern=r"^[\w .,:@/+-]*$")]


class Scope(StrEnum):
    """What a caller may do, each apart from the others."""

    #: Submit jobs, and call off those of the tenant.
    SUBMIT = "submit"
    #: See jobs, results and heatmaps of the tenant.
    READ = "read"
    #: See what concerns the house and not a job: which parts of it are missing.
    ADMIN = "admin"


@dataclass(frozen=True)
class Token:
    """A key as its holder has it. The secret is in no repr, so in no log and no traceback of locals either."""

    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def make(cls) -> Self:
        """A new one."""
        return cls(secrets.token_hex(_ID_BYTES), secrets.token_hex(_SECRET_BYTES))

    @property
    def text(self) -> str:
        """What the holder keeps and sends."""
        return f"mediscan_{self.key_id}_{self.secret}"

    @property
    def secret_sha256(self) -> str:
        """Lower-case hex: what the house keeps."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


class ApiKey(BaseModel):
    """A key as the blob store has it: everything but the secret."""

    model_config = ConfigDict(frozen=True)

    id: str
    tenant: Annotated[str, StringConstraints(pattern=f"^{TENANT_PATTERN}$")]
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    label: Label = ""
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    rate_per_minute: PositiveInt | None = None
    daily_quota: PositiveInt | None = None
    secret_sha256: Annotated[str, Field(repr=False)]

    def state(self, now: datetime) -> str:
        """`valid`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


def presented(authorization: Iterable[str], x_api_key: Iterable[str]) -> Token:
    """The one key in a request's headers; UnauthenticatedError where there is none, several, or no such thing.

    authorization, x_api_key: every value that the header of that name has.
    """
    sent = {_credentials(value) for value in authorization} | {value.strip() for value in x_api_key}
    if not sent:
        raise UnauthenticatedError(
            "Send your API key as `Authorization: Bearer ...` or as `X-API-Key`.", code="key_required"
        )
    found = _TOKEN.fullmatch(sent.pop())
    if sent or not found:
        raise bad_key()
    return Token(found[1], found[2])


def check(token: Token, stored: ApiKey | None, now: datetime) -> ApiKey:
    """The stored key, if `token` is its secret and it is in force; UnauthenticatedError if not.

    An unknown id is compared too: it must take no less time than a wrong secret. Only who has the secret is
    told that a key has expired or was revoked.
    """
    expected = stored.secret_sha256 if stored else _NOBODY
    if not hmac.compare_digest(token.secret_sha256, expected) or stored is None:
        raise bad_key()
    state = stored.state(now)
    if state != "valid":
        raise UnauthenticatedError(f"This API key is {state}.", code=f"key_{state}")
    return stored


def bad_key() -> UnauthenticatedError:
    """The same for a key that is malformed, unknown, or has a wrong secret."""
    return UnauthenticatedError("This is not a valid API key.")


def _credentials(value: str) -> str:
    """The key in an Authorization header. Of HTTP Basic it is the password: a PACS often knows nothing else."""
    scheme, _, credentials = value.strip().partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(credentials.strip(), validate=True).decode("ascii").partition(":")[2]
    except ValueError:
        return ""
