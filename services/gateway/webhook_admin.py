"""What an operator does with the secrets that sign webhooks: make, rotate, list. The reaper only reads them."""

from datetime import UTC, datetime, timedelta
from typing import Self

from shared.audit.event import AuditAction, event
from shared.audit.trail import Trail
from shared.blob_store import BlobStore
from shared.errors import BadKeyRequestError, ConflictError, NotFoundError
from shared.names import is_tenant
from shared.settings import Settings, load
from shared.webhooks.secrets import WebhookSecret, WebhookSecrets, new_secret


class WebhookAdmin:
    """Changes of secrets, each durable when its method returns; BlobStoreUnavailableError where it is not."""

    def __init__(self, blobs: BlobStore) -> None:
        self._secrets = WebhookSecrets(blobs)
        self._trail = Trail(blobs)

    @classmethod
    def open(cls) -> Self:
        """Over the blob store that the settings name; SetupError where they cannot be used."""
        return cls(BlobStore.open(load(Settings).blob_url))

    def all(self, tenant: str | None = None) -> list[WebhookSecret]:
        """Every secret of a tenant, or of all, newest first within a tenant."""
        tenants = self._secrets.tenants() if tenant is None else [_checked(tenant)]
        return [secret for name in tenants for secret in self._secrets.of(name)]

    def create(self, tenant: str) -> WebhookSecret:
        """The first secret of a tenant; ConflictError where there is a valid one, BadKeyRequestError for no tenant."""
        if self._secrets.valid(_checked(tenant)):
            raise ConflictError(f"tenant {tenant} has a secret; `webhooks secret rotate` makes the next")
        return self._new(tenant, AuditAction.WEBHOOK_SIGNING_BEGAN)

    def rotate(self, tenant: str, overlap: timedelta) -> WebhookSecret:
        """The next secret; those before it sign beside it until `overlap` is over. NotFoundError without any."""
        before = self._secrets.valid(_checked(tenant))
        if not before:
            raise NotFoundError(f"tenant {tenant} has no secret; `webhooks secret create` makes one")
        new = self._new(tenant, AuditAction.WEBHOOK_SIGNING_ROTATED)
        until = datetime.now(UTC) + overlap
        for old in before:
            ends = min(until, old.expires_at) if old.expires_at else until
            self._secrets.save(old.model_copy(update={"expires_at": ends}))
        return new

    def _new(self, tenant: str, action: AuditAction) -> WebhookSecret:
        secret = new_secret(tenant)
        # Before it happens, so that nothing happens unrecorded.
        self._trail.append(event(action, "operator", tenant=tenant, about=secret.id))
        self._secrets.save(secret)
        return secret


def _checked(tenant: str) -> str:
    if not is_tenant(tenant):
        raise BadKeyRequestError("a tenant's name is made of a-z, 0-9 and -")
    return tenant
