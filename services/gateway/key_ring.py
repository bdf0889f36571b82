"""API keys as one gateway process knows them: remembered for seconds, so that a revoked one soon ends.

What a stranger sends costs no more than a look at what is remembered: ids are compared with a listing that is
made at most once a second, and only keys that exist are remembered.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.gateway.api_keys import ApiKey
from services.gateway.key_store import KeyStore
from shared.errors import BlobStoreUnavailableError

#: A new key may be refused for this long, a store that failed is left alone for this long; or `cache_s` if less.
_MOST_PAUSE_S = 1.0

#: Runs a blocking call in a thread.
Run = Callable[[Callable[[str], ApiKey | None], str], Awaitable[ApiKey | None]]


@dataclass(frozen=True)
class _Remembered:
    key: ApiKey
    until: float


class KeyRing:
    """Finds keys. `cache_s`: for how long one is remembered."""

    def __init__(self, store: KeyStore, cache_s: float) -> None:
        self._store = store
        self._cache_s = cache_s
        self._pause_s = min(_MOST_PAUSE_S, cache_s)
        self._remembered: dict[str, _Remembered] = {}
        self._ids: frozenset[str] = frozenset()
        self._listed_at = self._failed_at = float("-inf")
        self._turn = asyncio.Lock()

    async def find(self, key_id: str, run: Run) -> ApiKey | None:
        """The key, or None where there is none; BlobStoreUnavailableError while that cannot be known."""
        if not self._must_look(key_id):
            return self._known(key_id)
        async with self._turn:
            # Somebody else may have looked meanwhile: a hundred requests at once are one look.
            return await run(self._look, key_id) if self._must_look(key_id) else self._known(key_id)

    def _must_look(self, key_id: str) -> bool:
        if self._known(key_id):
            return False
        now = time.monotonic()
        if now < self._failed_at + self._pause_s:
            raise BlobStoreUnavailableError("API keys cannot be checked right now.")
        return key_id in self._ids or now >= self._listed_at + self._pause_s

    def _known(self, key_id: str) -> ApiKey | None:
        found = self._remembered.get(key_id)
        return found.key if found and time.monotonic() < found.until else None

    def _look(self, key_id: str) -> ApiKey | None:
        try:
            if key_id not in self._ids:
                self._list()
            key = self._store.find(key_id) if key_id in self._ids else None
        except BlobStoreUnavailableError:
            self._failed_at = time.monotonic()
            raise
        if key is None:
            self._forget(key_id)
            return None
        self._remembered[key_id] = _Remembered(key, time.monotonic() + self._cache_s)
        return key

    def _list(self) -> None:
        self._ids = self._store.ids()
        self._listed_at = time.monotonic()
        for gone in self._remembered.keys() - self._ids:
            del self._remembered[gone]

    def _forget(self, key_id: str) -> None:
        self._ids -= {key_id}
        self._remembered.pop(key_id, None)
