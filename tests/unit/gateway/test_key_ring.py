"""How often the disk is asked for keys, and how long one is believed."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from services.gateway import key_ring
from services.gateway.api_keys import ApiKey, Token
from services.gateway.key_admin import KeyAdmin
from services.gateway.key_ring import KeyRing
from services.gateway.key_store import KeyStore
from shared.blob_store import BlobStore
from shared.errors import BlobStoreUnavailableError
from shared.names import KEYS_FOLDER

T = TypeVar("T")
Find = Callable[..., list[ApiKey | None]]


class Counting(KeyStore):
    """The real store, counted, and away when told so."""

    def __init__(self, blobs: BlobStore) -> None:
        super().__init__(blobs)
        self.asked: Counter[str] = Counter()
        self.away = False

    def ids(self) -> frozenset[str]:
        return self._noted("ids", super().ids)

    def find(self, key_id: str) -> ApiKey | None:
        return self._noted("find", lambda: super(Counting, self).find(key_id))

    def _noted(self, what: str, do: Callable[[], T]) -> T:
        self.asked[what] += 1
        if self.away:
            raise BlobStoreUnavailableError("away")
        return do()


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(key_ring, "time", made)
    return made


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore.open(f"file://{tmp_path}")


@pytest.fixture
def store(blobs: BlobStore) -> Counting:
    return Counting(blobs)


@pytest.fixture
def ring(store: Counting, clock: Clock) -> KeyRing:
    assert clock.now
    return KeyRing(store, 5)


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for the whole test, as in a gateway."""
    with asyncio.Runner() as runner:
        yield runner


async def in_thread(call: Callable[[str], ApiKey | None], key_id: str) -> ApiKey | None:
    return await asyncio.to_thread(call, key_id)


@pytest.fixture
def find(ring: KeyRing, loop: asyncio.Runner) -> Find:
    """Looks keys up, all at once."""

    async def all_at_once(key_ids: tuple[str, ...]) -> list[ApiKey | None]:
        return list(await asyncio.gather(*(ring.find(key_id, in_thread) for key_id in key_ids)))

    return lambda *key_ids: loop.run(all_at_once(key_ids))


def make(blobs: BlobStore) -> str:
    return KeyAdmin(blobs).create(tenant="ward-7", scopes=["read"])[0].id


def test_a_hundred_requests_are_one_look(find: Find, store: Counting, blobs: BlobStore) -> None:
    known = make(blobs)
    assert [key.id for key in find(*[known] * 100) if key] == [known] * 100
    assert store.asked == {"ids": 1, "find": 1}


def test_strangers_cost_one_listing_a_second_and_no_memory(
    find: Find, ring: KeyRing, store: Counting, blobs: BlobStore, clock: Clock
) -> None:
    known = make(blobs)
    find(known)
    for second in range(3):
        clock.now += 1
        assert not any(find(*(f"{second:06x}{n:06x}" for n in range(500))))
    assert store.asked == {"ids": 1 + 3, "find": 1}
    assert set(ring._remembered) == {known}


def test_a_revoked_key_ends_within_the_cache_time(find: Find, blobs: BlobStore, clock: Clock) -> None:
    known = make(blobs)
    find(known)
    KeyAdmin(blobs).revoke(known)
    clock.now += 4.9
    (before,) = find(known)
    clock.now += 0.2
    (after,) = find(known)
    assert before
    assert after
    assert (before.revoked_at, after.revoked_at is None) == (None, False)


def test_a_key_made_later_is_found_within_a_second(find: Find, blobs: BlobStore, clock: Clock) -> None:
    assert find("0" * 12) == [None]
    known = make(blobs)
    clock.now += 1
    assert find(known) != [None]


def test_a_key_whose_object_is_gone_is_gone(
    find: Find, ring: KeyRing, blobs: BlobStore, clock: Clock
) -> None:
    known = make(blobs)
    find(known)
    blobs.delete(f"{KEYS_FOLDER}/{known}.json")
    clock.now += 5.1
    assert find(known) == [None]
    assert ring._remembered == {}


def test_while_the_store_is_away_nobody_new_gets_in_and_it_is_left_alone(
    find: Find, store: Counting, blobs: BlobStore, clock: Clock
) -> None:
    known, other = make(blobs), make(blobs)
    find(known)
    store.away = True
    assert find(known) != [None], "remembered for its time"
    for _ in range(50):
        with pytest.raises(BlobStoreUnavailableError):
            find(other)
    clock.now += 5.1
    with pytest.raises(BlobStoreUnavailableError):
        find(known)
    assert store.asked["ids"] + store.asked["find"] <= 2 + 2
    store.away = False
    clock.now += 1
    assert None not in find(known, other)


def test_a_damaged_key_lets_nobody_in_and_is_not_quoted(
    find: Find, blobs: BlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    token = Token.make()
    blobs.put(f"{KEYS_FOLDER}/{token.key_id}.json", b'{"secret_sha256": "planted"}')
    assert find(token.key_id) == [None]
    assert [record.__dict__["key"] for record in caplog.records] == [token.key_id]
    assert "planted" not in caplog.text


def test_a_rotation_at_the_same_time_does_not_bring_a_revoked_key_back(blobs: BlobStore) -> None:
    known = make(blobs)
    store = KeyStore(blobs)
    read_by_the_rotation = store.get(known)
    KeyAdmin(blobs).revoke(known)
    store.save(read_by_the_rotation)
    assert store.get(known).revoked_at is not None
