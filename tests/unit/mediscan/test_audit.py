"""`python -m mediscan audit`: what it prints, and its exit status."""

import json

import pytest

from shared.audit.event import AuditAction, event
from shared.audit.trail import Trail
from shared.blob_store import BlobStore
from shared.names import AUDIT_FOLDER
from tests.unit.mediscan.terminal import Terminal


@pytest.fixture
def trail(terminal: Terminal) -> Trail:
    made = Trail(terminal.blobs)
    for tenant, job in (("a", "job_1"), ("b", "job_2"), ("a", "job_3")):
        made.append(event(AuditAction.READ, "0123456789ab", tenant=tenant, job=job))
    return made


def test_an_intact_trail_is_exit_status_0_and_shows_its_head(terminal: Terminal, trail: Trail) -> None:
    status, out, _ = terminal.run("audit", "verify", "--head", trail.head().hash)
    assert status == 0
    assert out == f"intact: 3 events in 3 segments, head {trail.head().hash}\n"


def test_a_broken_trail_is_exit_status_1_and_says_where(terminal: Terminal, trail: Trail) -> None:
    terminal.blobs.put(f"{AUDIT_FOLDER}/0000000002.jsonl", trail.segment(2).replace(b"job_2", b"job_9"))
    status, out, _ = terminal.run("audit", "verify")
    assert status == 1
    assert out.startswith("broken: line 1 of segment 3: ")
    status, out, err = terminal.run("audit", "show")
    assert (status, out.count("\n")) == (1, 2)
    assert "line 1 of segment 3" in err


def test_a_head_that_is_not_met_is_exit_status_1(terminal: Terminal, trail: Trail) -> None:
    noted = trail.head().hash
    terminal.blobs.delete(f"{AUDIT_FOLDER}/0000000003.jsonl")
    assert terminal.run("audit", "verify")[0] == 0
    assert terminal.run("audit", "verify", "--head", noted)[0] == 1


def test_a_store_that_cannot_be_read_is_exit_status_2(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDISCAN_BLOB_URL", "ftp://attic")
    status, out, err = terminal.run("audit", "verify")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1


def test_show_picks_by_job_and_tenant(terminal: Terminal, trail: Trail) -> None:
    assert len(trail.numbers()) == 3
    _, out, _ = terminal.run("audit", "show", "--tenant", "a", "--json")
    assert [json.loads(line)["job"] for line in out.splitlines()] == ["job_1", "job_3"]
    _, out, _ = terminal.run("audit", "show", "--job", "job_2")
    (line,) = out.splitlines()
    assert line.split()[1:] == ["read", "0123456789ab", "b", "job_2"]


def test_there_is_no_trail_yet(terminal: Terminal) -> None:
    status, out, _ = terminal.run("audit", "verify")
    assert (status, out.startswith("intact: 0 events")) == (0, True)
    assert BlobStore.open(f"file://{terminal.folder}").folders() == []


def test_show_finds_a_job_among_those_that_were_listed(terminal: Terminal, trail: Trail) -> None:
    trail.append(event(AuditAction.LISTED, "0123456789ab", tenant="b", jobs=("job_2", "job_4")))
    for job, actions in (("job_2", ["read", "listed"]), ("job_4", ["listed"]), ("job_5", [])):
        _, out, _ = terminal.run("audit", "show", "--job", job)
        assert [line.split()[1] for line in out.splitlines()] == actions
    assert "jobs=job_2,job_4" in terminal.run("audit", "show")[1]
