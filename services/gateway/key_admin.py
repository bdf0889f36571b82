"""What an operator does with API keys: make, end, rotate. The gateway itself only ever reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pydantic import ValidationError

from services.gateway.api_keys import ApiKey, Token
from services.gateway.key_store import KeyStore, successor
from shared.audit.event import AuditAction, event
from shared.audit.trail import Trail
from shared.blob_store import BlobStore
from shared.errors import BadKeyRequestError, ConflictError
from shared.settings import Settings, load


class KeyAdmin:
    """Changes of API keys, each durable when its method returns; BlobStoreUnavailableError where it is not."""

    def __init__(self, blobs: BlobStore) -> None:
        self._store = KeyStore(blobs)
        self._trail = Trail(blobs)

    @classmethod
    def open(cls) -> Self:
        """Over the blob store that the settings name; SetupError where they cannot be used."""
        return cls(BlobStore.open(load(Settings).blob_url))

    def all(self) -> list[ApiKey]:
        """Every key, oldest first."""
        return self._store.all()

    def create(self, *, lifetime: timedelta | None = None, **wanted: Any) -> tuple[ApiKey, Token]:
        """A new key with the fields `wanted` of `ApiKey`; BadKeyRequestError where one is not usable."""
        now, token = datetime.now(UTC), Token.make()
        fields = {
            "id": token.key_id,
            "created_at": now,
            "expires_at": now + lifetime if lifetime else None,
            "secret_sha256": token.secret_sha256,
        }
        try:
            key = ApiKey.model_validate({**wanted, **fields})
        except ValidationError as error:
            raise BadKeyRequestError(_said(error)) from error
        self._note(AuditAction.KEY_CREATED, key)
        self._store.save(key)
        return key, token

    def revoke(self, key_id: str) -> ApiKey:
        """End a key for good, also one that has expired; NotFoundError where there is none. Safe to repeat."""
        key = self._store.get(key_id)
        if key.revoked_at is None:
            self._note(AuditAction.KEY_REVOKED, key)
            self._store.revoke(key_id, datetime.now(UTC))
        return self._store.get(key_id)

    def rotate(self, key_id: str, overlap: timedelta) -> tuple[ApiKey, Token, ApiKey]:
        """A second key with the same rights, its token, and the first as it ends after `overlap`.

        NotFoundError; ConflictError where the first is not in force any more.
        """
        now, token = datetime.now(UTC), Token.make()
        old = self._store.get(key_id)
        if old.state(now) != "valid":
            raise ConflictError(f"key {key_id} is {old.state(now)}: make a new one with `keys create`")
        new, ending = successor(old, token, now, now + overlap)
        self._note(AuditAction.KEY_ROTATED, old)
        self._note(AuditAction.KEY_CREATED, new)
        self._store.save(new)
        self._store.save(ending)
        return new, token, ending

    def _note(self, action: AuditAction, key: ApiKey) -> None:
        # Before it happens, so that nothing happens unrecorded; and straight into the trail, not by the ledger:
        # a key must be revocable while that is away.
        self._trail.append(event(action, "operator", tenant=key.tenant, about=key.id))


def _said(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
