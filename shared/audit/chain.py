"""The chain: every line carries the SHA-256 of the line before it. Pure.

A segment is JSON lines, `{"prev":"<hex>","event":{...}}`. `prev` is the hash of the bytes of the line before,
without its line feed; the first line of all has `GENESIS`, the first of a later segment the hash of the last line
of the segment before. Who alters, removes, inserts or re-orders lines must rewrite all that follow, and then the
hash of the last one, which was logged, is another.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64


@dataclass(frozen=True)
class Head:
    """Where the chain ends: the number of the last segment, from 1, and the hash of its last line."""

    segment: int
    hash: str


START = Head(0, GENESIS)


@dataclass(frozen=True)
class Broken:
    """The first place where the chain does not hold. line: from 1; 0: the segment as a whole."""

    segment: int
    line: int
    why: str

    def __str__(self) -> str:
        place = f"line {self.line} of segment {self.segment}" if self.line else f"segment {self.segment}"
        return f"{place}: {self.why}"


class BrokenChainError(Exception):
    """Raised inside a check; carries the place."""

    def __init__(self, broken: Broken) -> None:
        super().__init__(str(broken))
        self.broken = broken


def seal(head: Head, events: Iterable[str]) -> tuple[bytes, Head]:
    """The segment that follows `head`, of events as JSON texts, and the head after it."""
    lines, prev = [], head.hash
    for text in events:
        line = f'{{"prev":"{prev}","event":{text}}}'.encode()
        lines.append(line)
        prev = _hash(line)
    return b"\n".join(lines) + b"\n", Head(head.segment + 1, prev)


def hash_of_last_line(segment: bytes) -> str:
    """What the next segment's first line must carry."""
    return _hash(segment.removesuffix(b"\n").rsplit(b"\n", 1)[-1])


def events(head: Head, segment: bytes) -> Iterator[tuple[dict[str, Any], str]]:
    """Each event with the hash of its line, checked to follow `head`; BrokenChainError at the first that does not."""
    number, prev = head.segment + 1, head.hash
    if not segment.endswith(b"\n"):
        raise BrokenChainError(Broken(number, 0, "it is cut off in the midst of a line, or empty"))
    for count, line in enumerate(segment.removesuffix(b"\n").split(b"\n"), start=1):
        found = _parse(line)
        if found is None:
            raise BrokenChainError(Broken(number, count, "it is not a line of an audit trail"))
        if found["prev"] != prev:
            why = "it does not follow the line before it: one of the two was altered, moved, added, or one is gone"
            raise BrokenChainError(Broken(number, count, why))
        prev = _hash(line)
        yield found["event"], prev


def ids(segment: bytes) -> list[str]:
    """Of the events in a segment, whatever else it holds."""
    found = (_parse(line) for line in segment.splitlines())
    return [str(line["event"].get("id")) for line in found if line]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    fits = isinstance(found, dict) and found.keys() == {"prev", "event"} and isinstance(found["event"], dict)
    return found if fits else None


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
