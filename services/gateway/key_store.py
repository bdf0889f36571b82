"""API keys in the blob store, one JSON object a key. Not in Redis: results outlive it, so access to them must too.

That a key is revoked is an object of its own, which nothing ever removes: a rotation at the same time, which reads a
key and writes it back, cannot undo it.
"""

import logging
from datetime import datetime

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from services.gateway.api_keys import ApiKey, Token
from shared.blob_store import BlobStore
from shared.errors import BlobMissingError, NotFoundError
from shared.names import KEYS_FOLDER

log = logging.getLogger(__name__)

_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class KeyStore:
    """Reads and writes keys; BlobStoreUnavailableError from each method where the store is away."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def ids(self) -> frozenset[str]:
        """Of every key there is, whatever its state."""
        names = (path.rsplit("/", 1)[-1] for path in self._blobs.paths(KEYS_FOLDER))
        return frozenset(name.removesuffix(".json") for name in names if name.endswith(".json"))

    def find(self, key_id: str) -> ApiKey | None:
        """The key, or None where there is none that can be read. key_id: of the form of one."""
        try:
            key = ApiKey.model_validate_json(self._blobs.get(_path(key_id)))
            return key.model_copy(update={"revoked_at": self._revoked_at(key_id)})
        except BlobMissingError:
            return None
        except ValidationError:
            # Closed, not open: a damaged key lets nobody in.
            log.error("a stored API key cannot be read", extra={"key": key_id})  # noqa: TRY400 - it quotes the key
            return None

    def get(self, key_id: str) -> ApiKey:
        """The key; NotFoundError where there is none."""
        found = self.find(key_id) if key_id in self.ids() else None
        if found is None:
            raise NotFoundError(f"there is no key {key_id}; `keys list` shows those there are")
        return found

    def all(self) -> list[ApiKey]:
        """Every key, oldest first."""
        found = (self.find(key_id) for key_id in self.ids())
        return sorted((key for key in found if key), key=lambda key: (key.created_at, key.id))

    def save(self, key: ApiKey) -> None:
        """Keep a key, or the new state of one, durably. Does not revoke: see `revoke`."""
        self._blobs.put(_path(key.id), key.model_dump_json(exclude={"revoked_at"}).encode())

    def revoke(self, key_id: str, at: datetime) -> None:
        """End a key for good, durably; of several times the first counts."""
        self._blobs.put_new(_revocation(key_id), at.isoformat().encode())

    def _revoked_at(self, key_id: str) -> datetime | None:
        try:
            return _TIME.validate_python(self._blobs.get(_revocation(key_id)))
        except BlobMissingError:
            return None


def successor(old: ApiKey, token: Token, now: datetime, until: datetime) -> tuple[ApiKey, ApiKey]:
    """Rotation: the key that follows `old`, with its rights and its lifetime, and `old` as it ends, at `until`."""
    lifetime = old.expires_at - old.created_at if old.expires_at else None
    new = old.model_copy(
        update={
            "id": token.key_id,
            "secret_sha256": token.secret_sha256,
            "created_at": now,
            "expires_at": now + lifetime if lifetime else None,
        }
    )
    ends = min(until, old.expires_at) if old.expires_at else until
    return new, old.model_copy(update={"expires_at": ends})


def _path(key_id: str) -> str:
    return f"{KEYS_FOLDER}/{key_id}.json"


def _revocation(key_id: str) -> str:
    return f"{KEYS_FOLDER}/{key_id}.revoked"
