"""The segments in the blob store: written once each, in order, never changed and never swept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shared.audit.chain import START, Broken, BrokenChainError, Head, events, hash_of_last_line, seal
from shared.audit.event import AuditEvent
from shared.blob_store import BlobStore
from shared.errors import BlobMissingError
from shared.names import AUDIT_FOLDER


@dataclass(frozen=True)
class Verdict:
    """What a check of the whole trail found."""

    segments: int
    lines: int
    head: Head
    #: None: the chain holds.
    broken: Broken | None


class Trail:
    """Reads and extends the chain; BlobStoreUnavailableError from each method where the store is away."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def head(self) -> Head:
        """Where the chain ends now. Lists every segment: for who does not know where to look."""
        number = max(self.numbers(), default=0)
        return self.head_at(number) if number else START

    def head_at(self, number: int) -> Head:
        """The head after segment `number`; BlobMissingError where there is none."""
        return Head(number, hash_of_last_line(self.segment(number)))

    def follow(self, head: Head, texts: Sequence[str]) -> Head | None:
        """Write the segment after `head`, durably; None where somebody else has written it meanwhile."""
        data, after = seal(head, texts)
        return after if self._blobs.put_new(_path(after.segment), data) else None

    def append(self, *happened: AuditEvent) -> Head:
        """Extend the chain wherever it ends, as a segment of its own; the head after it."""
        while True:
            after = self.follow(self.head(), [event.text() for event in happened])
            if after is not None:
                return after

    def segment(self, number: int) -> bytes:
        """The bytes of a segment; BlobMissingError where there is none."""
        return self._blobs.get(_path(number))

    def numbers(self) -> list[int]:
        """Of the segments there are, ascending."""
        names = (path.rsplit("/", 1)[-1] for path in self._blobs.paths(AUDIT_FOLDER))
        found = (name.removesuffix(".jsonl") for name in names if name.endswith(".jsonl"))
        return sorted(int(number) for number in found if number.isdecimal())

    def entries(self) -> Iterator[tuple[dict[str, Any], Head]]:
        """Every event, oldest first, with the head after it; BrokenChainError at the first that does not hold."""
        numbers, head = self.numbers(), START
        for number in range(1, max(numbers, default=0) + 1):
            for event, line_hash in events(head, self._present(number)):
                latest = Head(number, line_hash)
                yield event, latest
            head = latest

    def verify(self, expected: str | None = None) -> Verdict:
        """Check the whole chain from the first segment on. expected: a hash that one of its lines must have."""
        lines, head, met, broken = 0, START, expected is None, None
        try:
            for _, head in self.entries():
                lines += 1
                met = met or head.hash == expected
        except BrokenChainError as error:
            broken = error.broken
        if not met and not broken:
            broken = Broken(
                head.segment, 0, "no line up to its end has the expected hash: the tail was cut or rewritten"
            )
        return Verdict(head.segment, lines, head, broken)

    def _present(self, number: int) -> bytes:
        try:
            return self.segment(number)
        except BlobMissingError as error:
            raise BrokenChainError(Broken(number, 0, "it is missing")) from error


def _path(number: int) -> str:
    return f"{AUDIT_FOLDER}/{number:010d}.jsonl"
