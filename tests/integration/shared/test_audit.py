"""From the ledger's list into the chain: each event once, whoever dies when, and however many seal."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from services.gateway.key_admin import KeyAdmin
from shared.audit import sealer as sealing
from shared.audit.chain import Head
from shared.audit.event import AuditAction, event
from shared.audit.sealer import Sealer
from shared.audit.trail import Trail
from shared.blob_store import BlobStore
from shared.errors import BlobStoreUnavailableError, LedgerUnavailableError, MediScanError
from shared.ledger import Ledger
from shared.names import AUDIT_FOLDER, Key
from tests.integration.conftest import MakeLedger
from tests.support.samples import new_job, new_ref
from tests.support.valkey import Server


class PowerCutError(Exception):
    """The process is no more."""


class House:
    """A ledger, a folder and a sealer, which may be a new one at any time."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger = ledger
        self.blobs = BlobStore.open(f"file://{folder}")
        self.trail = Trail(self.blobs)
        self.sealer = Sealer(ledger, self.trail)
        self.expected: list[str] = []

    def happen(self, times: int) -> None:
        for _ in range(times):
            made = event(AuditAction.READ, "0123456789ab", tenant="t", job=f"job_{len(self.expected)}")
            self.ledger.audit.append(made.text())
            self.expected.append(made.id)

    def restart(self) -> None:
        self.trail = Trail(self.blobs)
        self.sealer = Sealer(self.ledger, self.trail)

    def sealed(self) -> list[str]:
        """Ids of all sealed events of callers; the chain must hold."""
        assert self.trail.verify().broken is None
        return [entry["id"] for entry, _ in self.trail.entries() if entry["action"] == "read"]

    def waiting(self) -> int:
        return len(self.ledger.audit.waiting(10_000)[1])


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_MOST", 10)


@pytest.fixture
def house(make_ledger: MakeLedger, tmp_path: Path) -> House:
    return House(make_ledger(), tmp_path)


def test_everything_is_sealed_once_and_in_order(house: House) -> None:
    house.happen(25)
    assert house.sealer.seal() == 25
    assert house.sealer.seal() == 0
    house.happen(3)
    assert house.sealer.seal() == 3
    assert house.sealed() == house.expected
    assert house.waiting() == 0


def test_nothing_to_seal_writes_no_segment(house: House) -> None:
    house.sealer.seal()
    before = house.trail.numbers()
    house.sealer.seal()
    assert house.trail.numbers() == before == [1]


def test_an_event_that_a_lost_reply_doubled_is_sealed_once(house: House, valkey: Server) -> None:
    house.happen(9)
    with valkey.client() as client:
        last = client.lindex(Key.AUDIT, -1)
        assert isinstance(last, str)
        client.rpush(Key.AUDIT, last, last)  # the third lies in the next segment's reach
    house.sealer.seal()
    assert house.sealed() == house.expected
    assert house.waiting() == 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "nth"), [("append", 1), ("follow", 1), ("follow", 2), ("follow", 3)])
def test_a_death_around_a_write_of_the_store_costs_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, method: str, nth: int, when: str
) -> None:
    house.happen(25)
    _die(monkeypatch, Trail, method, when, nth)
    assert _seal_until_death(house), "the cut was never reached"
    monkeypatch.undo()
    house.restart()
    house.happen(2)
    house.sealer.seal()
    assert house.sealed() == house.expected
    assert house.waiting() == 0


@pytest.mark.parametrize(
    ("method", "when"), [(m, w) for m in ("begin", "sealed") for w in ("before", "after")]
)
def test_a_death_around_a_write_of_the_ledger_costs_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, method: str, when: str
) -> None:
    house.happen(25)
    _die(monkeypatch, type(house.ledger.audit), method, when, 1)
    assert _seal_until_death(house)
    monkeypatch.undo()
    house.restart()
    house.happen(2)
    house.sealer.seal()
    assert house.sealed() == house.expected
    assert house.waiting() == 0


def test_a_key_made_in_the_midst_of_a_death_is_in_the_chain_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.happen(5)
    _die(monkeypatch, type(house.ledger.audit), "sealed", "before", 1)
    assert _seal_until_death(house)
    monkeypatch.undo()
    made, _ = KeyAdmin(house.blobs).create(tenant="t", scopes=["read"])
    house.restart()
    house.happen(1)
    house.sealer.seal()
    assert house.sealed() == house.expected
    assert [entry["about"] for entry, _ in house.trail.entries() if "about" in entry] == [made.id]


def test_many_sealers_at_once_do_not_fork_the_chain_and_seal_each_event_once(house: House) -> None:
    def work(_: int) -> None:
        Sealer(house.ledger, Trail(house.blobs)).seal()

    for _ in range(5):
        house.happen(37)
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(work, range(6)))
    house.sealer.seal()
    assert house.sealed() == house.expected
    assert house.waiting() == 0


def test_a_sealer_that_begins_late_does_not_skip_what_another_sealed_meanwhile(house: House) -> None:
    first, later = Head(1, "a" * 64), Head(3, "b" * 64)
    house.ledger.audit.begin(first)
    house.ledger.audit.begin(later)
    assert house.ledger.audit.waiting(1) == (first, [])


def test_sealing_goes_on_while_events_come(house: House) -> None:
    with ThreadPoolExecutor(2) as threads:
        coming = threads.submit(house.happen, 120)
        while not coming.done():
            house.sealer.seal()
        coming.result()
    house.sealer.seal()
    assert house.sealed() == house.expected


def test_a_lost_ledger_shows_in_the_trail_and_the_chain_goes_on(house: House, valkey: Server) -> None:
    house.happen(12)
    house.sealer.seal()
    kept = list(house.expected)
    house.happen(3)
    with valkey.client() as client:
        client.flushall()
    house.expected = kept
    house.happen(4)
    house.sealer.seal()
    assert house.sealed() == house.expected
    actions = [entry["action"] for entry, _ in house.trail.entries()]
    assert actions == ["ledger_began", *["read"] * 12, "ledger_began", *["read"] * 4]


def test_a_ledger_that_was_restored_from_a_copy_seals_nothing_twice(house: House, valkey: Server) -> None:
    house.sealer.seal()
    house.happen(5)
    with valkey.client() as client:
        copy = client.lrange(Key.AUDIT, 0, -1), client.get(Key.AUDIT_HEAD)
        house.happen(30)
        house.sealer.seal()
        client.delete(Key.AUDIT)
        client.rpush(Key.AUDIT, *copy[0])
        client.set(Key.AUDIT_HEAD, str(copy[1]))
    house.happen(1)
    house.sealer.seal()
    assert house.sealed() == house.expected
    assert house.waiting() == 0


def test_a_tail_cut_off_the_store_shows_after_the_next_sealing(house: House) -> None:
    house.happen(30)
    house.sealer.seal()
    last = house.trail.numbers()[-1]
    house.blobs.delete(f"{AUDIT_FOLDER}/{last:010d}.jsonl")
    house.happen(1)
    house.sealer.seal()
    broken = house.trail.verify().broken
    assert broken
    assert (broken.segment, broken.line) == (last, 0)


def test_a_segment_planted_ahead_does_not_stop_the_sealer_and_shows(house: House) -> None:
    house.happen(3)
    house.sealer.seal()
    house.blobs.put(f"{AUDIT_FOLDER}/{house.trail.numbers()[-1] + 1:010d}.jsonl", b"not a line\n")
    house.happen(3)
    house.sealer.seal()
    assert house.waiting() == 0
    broken = house.trail.verify().broken
    assert broken
    assert (broken.segment, broken.line) == (3, 1)


def test_rubbish_in_the_ledger_is_an_error_and_loses_nothing(house: House, valkey: Server) -> None:
    house.sealer.seal()
    with valkey.client() as client:
        client.rpush(Key.AUDIT, "rubbish")
    house.happen(1)
    with pytest.raises(MediScanError):
        house.sealer.seal()
    assert house.waiting() == 2


def test_while_ledger_or_store_is_away_events_wait(house: House, valkey: Server, tmp_path: Path) -> None:
    house.sealer.seal()
    house.happen(3)
    (tmp_path / AUDIT_FOLDER).rename(tmp_path / "away")
    (tmp_path / AUDIT_FOLDER).write_text("a file where a folder should be")
    with pytest.raises(BlobStoreUnavailableError):
        house.sealer.seal()
    (tmp_path / AUDIT_FOLDER).unlink()
    (tmp_path / "away").rename(tmp_path / AUDIT_FOLDER)
    valkey.stop()
    with pytest.raises(LedgerUnavailableError):
        house.sealer.seal()
    valkey.start()
    house.sealer.seal()
    assert house.sealed() == house.expected


def test_the_head_is_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.happen(1)
    with caplog.at_level("INFO"):
        house.sealer.seal()
    assert house.trail.head().hash in caplog.text


# --- events that are part of a change of a job ------------------------------------------------------------


def test_a_submission_and_its_event_are_one_step_and_a_repeat_adds_none(house: House) -> None:
    ref = new_ref()
    for _ in range(2):
        house.ledger.create(ref, new_job(), audit=event(AuditAction.SUBMITTED, "k", job=ref.job_id).text())
    _, waiting = house.ledger.audit.waiting(10)
    assert [json.loads(text)["job"] for text in waiting] == [ref.job_id]


def test_a_job_is_called_off_once_in_the_trail(house: House) -> None:
    ref = new_ref()
    house.ledger.create(ref, new_job())
    for _ in range(2):
        house.ledger.cancel(ref, audit=event(AuditAction.CANCELLED, "k", job=ref.job_id).text())
    house.ledger.cancel(new_ref(), audit=event(AuditAction.CANCELLED, "k", job="none").text())
    _, waiting = house.ledger.audit.waiting(10)
    assert [json.loads(text)["job"] for text in waiting] == [ref.job_id]


def _die(monkeypatch: pytest.MonkeyPatch, owner: Any, method: str, when: str, nth: int) -> None:
    real: Callable[..., Any] = getattr(owner, method)
    calls = 0

    def dying(self: Any, *args: Any) -> Head | None:
        nonlocal calls
        calls += 1
        if calls == nth and when == "before":
            raise PowerCutError
        result: Head | None = real(self, *args)
        if calls == nth:
            raise PowerCutError
        return result

    monkeypatch.setattr(owner, method, dying)


def _seal_until_death(house: House) -> bool:
    try:
        house.sealer.seal()
    except PowerCutError:
        return True
    return False
