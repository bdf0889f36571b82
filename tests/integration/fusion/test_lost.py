"""An emptied or replaced ledger is noticed, and what was lost with it is named."""

import logging
from pathlib import Path

import pytest

from services.fusion.dead_letters import lines
from services.fusion.lost import LedgerWatch
from shared.blob_store import BlobStore
from shared.ledger import Ledger
from shared.names import LEDGER_IDENTITY, Blob, JobRef, blob_path
from shared.settings import Settings
from tests.integration.conftest import MakeLedger
from tests.support.samples import new_job, new_ref
from tests.support.valkey import Server

_SETTLE_S = 10.0


class House:
    """A watch over one ledger and one blob store, with a clock of its own."""

    def __init__(self, ledger: Ledger, blobs: BlobStore) -> None:
        self.ledger, self.blobs = ledger, blobs
        self.now = 0.0
        self.restart()

    def restart(self) -> None:
        """Another reaper takes over."""
        self._watch = LedgerWatch(
            self.ledger, self.blobs, Settings(), settle_s=_SETTLE_S, clock=lambda: self.now
        )

    def look(self, *, after_s: float = 0) -> None:
        self.now += after_s
        self._watch.look()

    def upload(self) -> JobRef:
        ref = new_ref()
        self.blobs.put(blob_path(ref, Blob.IMAGE), b"x")
        return ref

    def accept(self) -> JobRef:
        ref = self.upload()
        self.ledger.create(ref, new_job())
        return ref

    def dead(self) -> list[JobRef]:
        return [ref for ref, _ in self.ledger.dead_letters()]


@pytest.fixture
def house(make_ledger: MakeLedger, tmp_path: Path) -> House:
    return House(make_ledger(), BlobStore.open(f"file://{tmp_path}"))


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_new_house_gets_an_identity_and_no_complaint(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.accept()
    house.look()
    house.restart()
    house.look(after_s=100)
    assert house.blobs.get(LEDGER_IDENTITY).decode() == house.ledger.identity()
    assert (errors(caplog), house.dead()) == ([], [])


def test_an_emptied_ledger_is_noticed_and_its_jobs_are_named_once(
    house: House, valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    house.look()
    lost = {house.accept() for _ in range(3)}
    valkey.reset()
    house.look()
    later = house.accept()
    house.look(after_s=_SETTLE_S)
    house.look(after_s=_SETTLE_S)
    assert set(house.dead()) == lost
    assert later not in lost
    assert house.ledger.counters()["lost"] == 3
    assert errors(caplog) == [
        "the ledger was emptied or replaced: looking for accepted jobs that are gone from it",
        "lost jobs: 3; `dead-letters` lists them",
    ]
    assert all("lost with the ledger" in line for line in lines(house.ledger, house.blobs))


def test_an_upload_under_way_when_the_loss_is_noticed_is_not_lost(house: House, valkey: Server) -> None:
    house.look()
    valkey.reset()
    under_way = house.upload()
    house.look()
    house.ledger.create(under_way, new_job())
    house.look(after_s=_SETTLE_S)
    assert house.dead() == []


def test_another_ledger_is_noticed_as_well(house: House, valkey: Server) -> None:
    house.look()
    lost = house.accept()
    valkey.reset()
    house.ledger.adopt_identity("of another house")
    house.look()
    house.look(after_s=_SETTLE_S)
    assert house.dead() == [lost]
    assert house.blobs.get(LEDGER_IDENTITY) == b"of another house"


def test_a_reaper_that_died_before_its_report_is_followed_by_one_that_makes_it(
    house: House, valkey: Server
) -> None:
    house.look()
    lost = house.accept()
    valkey.reset()
    house.look()
    house.restart()
    house.look(after_s=_SETTLE_S)
    assert house.dead() == []
    house.look(after_s=_SETTLE_S)
    assert house.dead() == [lost]


def test_finished_and_long_overdue_jobs_are_not_lost(house: House, valkey: Server) -> None:
    house.look()
    finished = house.accept()
    house.blobs.put(blob_path(finished, Blob.RECORD), b"{}")
    overdue = JobRef("default", f"job_{0:012x}{'0' * 20}")
    house.blobs.put(blob_path(overdue, Blob.IMAGE), b"x")
    valkey.reset()
    house.look()
    house.look(after_s=_SETTLE_S)
    assert house.dead() == []
