"""A short run of the chaos, and proof that its auditor is not blind. `make chaos` is the long one."""

import asyncio
from pathlib import Path

import pytest

from shared.names import Blob
from tests.chaos.arena import Arena
from tests.chaos.audit import Audit, Auditor
from tests.chaos.client import Client
from tests.chaos.faults import FAULTS, SHORT
from tests.chaos.run import Options, run
from tests.chaos.schedule import plan

_SEED = 20


def test_every_accepted_job_ends_exactly_once(tmp_path: Path) -> None:
    report = run(Options(seed=_SEED, jobs=2000, faults=SHORT, rate=50))
    saved = report.save(tmp_path)
    assert report.violations == [], saved.read_text()
    assert sum(report.audit.states.values()) >= report.accepted >= 2000
    assert {struck.fault for struck in report.timeline} == set(SHORT)
    assert [struck for struck in report.timeline if struck.note.startswith("not done")] == []
    # What is not broken by a fault ends by itself only with a clear word: its ledger was away for too long.
    assert [line for line in report.ended_by_themselves if ": mediscan: " not in line] == []
    # Poison is given up, and nothing else is: no outage may make a healthy job look like it.
    assert report.audit.error_codes["ml_gave_up"] <= 1 + 2000 // 500, saved.read_text()


def test_a_seed_is_a_schedule() -> None:
    names = list(FAULTS)
    assert plan(1, 5000, names, has_alone=True) == plan(1, 5000, names, has_alone=True)
    assert plan(1, 5000, names, has_alone=True) != plan(2, 5000, names, has_alone=True)
    alone = [planned.fault for planned in plan(1, 5000, names, has_alone=True) if planned.is_alone]
    assert sorted(alone) == sorted(names)


async def _tamper(arena: Arena) -> Audit:
    client = Client(lambda: arena.cluster.url, arena.cluster.http.headers, seed=1)
    await client.drive(30, rate=20, until=lambda: True)
    records = sorted(arena.cluster.blobs.rglob(f"*.{Blob.RECORD}"))
    records[0].write_bytes(records[0].read_bytes().replace(b'"completed"', b'"cancelled"'))
    records[1].write_bytes(records[1].read_bytes().replace(b'"ended_at":"2', b'"ended_at":"3'))
    records[2].unlink()
    (records[0].parent / "stray").mkdir()
    with arena.cluster.ledger_server.client() as ledger, arena.cluster.broker_server.client() as broker:
        ledger.set("mediscan:stray", "1")
        ledger.hset("mediscan:job:default:stray", "state", "queued")
        broker.hset("unacked", "stray", "1")
    return await Auditor(arena, client, settle_s=5).look()


@pytest.fixture(scope="module")
def tampered() -> Audit:
    """What the auditor says after each thing that must not be was put there by hand."""
    with Arena(CACHE_TTL_S="1", GEMINI_ENABLED="false") as arena:
        return asyncio.run(_tamper(arena))


@pytest.mark.parametrize(
    "violation",
    [
        "changed after its end",
        "outlived its deadline",
        "was accepted and has no stored end",
        "was accepted and is answered",
        "jobs stay in Redis",
        "keys that nobody accounts for: ['mediscan:job:default:stray', 'mediscan:stray', 'unacked']",
        "files or folders outlive the retention",
    ],
)
def test_the_auditor_finds_what_must_not_be(tampered: Audit, violation: str) -> None:
    assert [line for line in tampered.violations if violation in line], tampered.violations
