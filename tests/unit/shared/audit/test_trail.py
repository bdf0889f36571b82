"""The chain in a folder: what it takes, and that every way of changing it shows."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.audit.chain import START
from shared.audit.event import AuditAction, AuditEvent, event
from shared.audit.trail import Trail
from shared.blob_store import BlobStore
from shared.names import AUDIT_FOLDER

Spoil = Callable[[Path], None]


def happened(job: str = "job_1") -> AuditEvent:
    return event(AuditAction.READ, "0123456789ab", tenant="ward-7", job=job)


def file(folder: Path, number: int) -> Path:
    return folder / AUDIT_FOLDER / f"{number:010d}.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def trail(folder: Path) -> Trail:
    """Three segments of three lines."""
    made = Trail(BlobStore.open(f"file://{folder}"))
    for segment in range(3):
        made.append(*(happened(f"job_{segment}{line}") for line in range(3)))
    return made


def test_no_trail_yet_is_intact_and_a_hash_that_it_never_had_is_not(tmp_path: Path) -> None:
    empty = Trail(BlobStore.open(f"file://{tmp_path}"))
    assert empty.verify() == empty.verify(None)
    assert (empty.verify().broken, empty.verify().head) == (None, START)
    assert empty.verify("ab" * 32).broken


def test_a_trail_that_nobody_touched_holds(trail: Trail) -> None:
    found = trail.verify()
    assert (found.segments, found.lines, found.broken) == (3, 9, None)
    assert found.head == trail.head()
    assert [entry["job"] for entry, _ in trail.entries()] == [f"job_{n // 3}{n % 3}" for n in range(9)]


def test_every_head_there_ever_was_is_met_again(trail: Trail) -> None:
    heads = [head.hash for _, head in trail.entries()]
    assert len(set(heads)) == 9
    assert [trail.verify(head).broken for head in heads] == [None] * 9


def test_two_cannot_write_the_same_segment(trail: Trail) -> None:
    head = trail.head()
    first, second = (trail.follow(head, [happened().text()]) for _ in range(2))
    assert first == trail.head()
    assert second is None
    assert trail.verify().broken is None


def test_it_holds_ids_and_nothing_that_could_name_a_patient() -> None:
    assert set(AuditEvent.model_fields) == {
        "id",
        "at",
        "action",
        "key",
        "tenant",
        "job",
        "jobs",
        "about",
        "count",
    }


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def write(path: Path, changed: list[bytes]) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in changed))


def remove(number: int, line: int) -> Spoil:
    def spoil(folder: Path) -> None:
        path = file(folder, number)
        write(path, lines(path)[: line - 1] + lines(path)[line:])

    return spoil


def alter(number: int, line: int, old: bytes, new: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        found = lines(file(folder, number))
        assert old in found[line - 1]
        found[line - 1] = found[line - 1].replace(old, new)
        write(file(folder, number), found)

    return spoil


def swap(number: int, line: int) -> Spoil:
    def spoil(folder: Path) -> None:
        found = lines(file(folder, number))
        found[line - 1], found[line] = found[line], found[line - 1]
        write(file(folder, number), found)

    return spoil


def insert(number: int, line: int) -> Spoil:
    """A line that follows the one before it, as well as anybody could make it."""

    def spoil(folder: Path) -> None:
        found = lines(file(folder, number))
        forged = json.loads(found[line - 1])
        forged["event"]["job"] = "job_forged"
        found.insert(line - 1, json.dumps(forged, separators=(",", ":")).encode())
        write(file(folder, number), found)

    return spoil


def drop_segment(number: int) -> Spoil:
    return lambda folder: file(folder, number).unlink()


def exchange(folder: Path) -> None:
    second, third = file(folder, 2).read_bytes(), file(folder, 3).read_bytes()
    file(folder, 2).write_bytes(third)
    file(folder, 3).write_bytes(second)


def truncate(folder: Path) -> None:
    path = file(folder, 2)
    path.write_bytes(path.read_bytes()[:-20])


def empty(folder: Path) -> None:
    file(folder, 2).write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (remove(1, 1), (1, 1)),
        (remove(2, 2), (2, 2)),
        (remove(2, 3), (3, 1)),
        (alter(1, 2, b"job_01", b"job_99"), (1, 3)),
        (alter(2, 3, b"ward-7", b"ward-8"), (3, 1)),
        (alter(2, 1, b'"event"', b'"ev"'), (2, 1)),
        (alter(2, 1, b'{"prev"', b' {"prev"'), (2, 2)),
        (swap(2, 1), (2, 1)),
        (insert(2, 2), (2, 3)),
        (insert(1, 1), (1, 2)),
        (drop_segment(1), (1, 0)),
        (drop_segment(2), (2, 0)),
        (exchange, (2, 1)),
        (truncate, (2, 0)),
        (empty, (2, 0)),
    ],
)
def test_every_change_shows_and_where(
    trail: Trail, folder: Path, spoil: Spoil, place: tuple[int, int]
) -> None:
    spoil(folder)
    broken = trail.verify().broken
    assert broken
    assert (broken.segment, broken.line) == place
    assert str(broken)


@pytest.mark.parametrize("spoil", [drop_segment(3), remove(3, 3), alter(3, 3, b"job_22", b"job_99")])
def test_a_cut_or_altered_tail_shows_against_a_head_that_was_noted(
    trail: Trail, folder: Path, spoil: Spoil
) -> None:
    noted = trail.head().hash
    assert trail.verify(noted).broken is None
    spoil(folder)
    assert trail.verify().broken is None, "by itself it cannot show: that is what the noted head is for"
    assert trail.verify(noted).broken


def test_a_cut_tail_shows_by_itself_once_the_ledger_has_sealed_more(trail: Trail, folder: Path) -> None:
    head = trail.head()
    file(folder, 3).unlink()
    assert trail.follow(head, [happened().text()])
    broken = trail.verify().broken
    assert broken
    assert (broken.segment, broken.line) == (3, 0)
