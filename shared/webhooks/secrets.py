"""The secrets that sign webhooks, in the blob store: one JSON object a secret, in a folder of its tenant.

Readable, unlike API keys of which only a hash is kept: who signs needs the secret itself (docs/security.md).
"""

import base64
import secrets
from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, SecretStr, ValidationError, field_serializer

from shared.blob_store import BlobStore
from shared.errors import BlobMissingError, BlobStoreUnavailableError
from shared.names import WEBHOOK_SECRETS_FOLDER

#: Standard Webhooks asks for 24 to 64.
_BYTES = 32


class WebhookSecret(BaseModel):
    """One secret of a tenant."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: str
    tenant: str
    created_at: AwareDatetime
    #: None: until it is rotated.
    expires_at: AwareDatetime | None = None
    #: As receivers are given it: `whsec_` and base64 (Standard Webhooks).
    secret: SecretStr

    def is_valid(self, now: datetime) -> bool:
        """Whether it signs at `now`."""
        return self.expires_at is None or now < self.expires_at

    @field_serializer("secret")
    def _written(self, secret: SecretStr) -> str:
        return secret.get_secret_value()


def new_secret(tenant: str) -> WebhookSecret:
    """A fresh one; nobody holds it yet."""
    return WebhookSecret(
        id=secrets.token_hex(6),
        tenant=tenant,
        created_at=datetime.now(UTC),
        secret=SecretStr(f"whsec_{base64.b64encode(secrets.token_bytes(_BYTES)).decode()}"),
    )


class WebhookSecrets:
    """Reads and writes secrets; BlobStoreUnavailableError from each method where the store is away."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def of(self, tenant: str) -> list[WebhookSecret]:
        """Every secret of a tenant, newest first, also those that have ended."""
        found = (self._read(path) for path in self._blobs.paths(f"{WEBHOOK_SECRETS_FOLDER}/{tenant}"))
        return sorted((one for one in found if one), key=lambda one: (one.created_at, one.id), reverse=True)

    def valid(self, tenant: str) -> list[WebhookSecret]:
        """The secrets that sign now, newest first."""
        now = datetime.now(UTC)
        return [secret for secret in self.of(tenant) if secret.is_valid(now)]

    def tenants(self) -> list[str]:
        """Who has secrets."""
        return self._blobs.folders(WEBHOOK_SECRETS_FOLDER)

    def save(self, secret: WebhookSecret) -> None:
        """Keep a secret, or the new state of one, durably."""
        path = f"{WEBHOOK_SECRETS_FOLDER}/{secret.tenant}/{secret.id}.json"
        self._blobs.put(path, secret.model_dump_json().encode())

    def _read(self, path: str) -> WebhookSecret | None:
        if not path.endswith(".json"):
            return None
        try:
            return WebhookSecret.model_validate_json(self._blobs.get(path))
        except BlobMissingError:
            return None
        except ValidationError:
            raise BlobStoreUnavailableError("A stored webhook secret cannot be read.") from None
