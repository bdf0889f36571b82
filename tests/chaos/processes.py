"""What a process holds, read from /proc."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Held:
    """At one moment."""

    resident_bytes: int
    descriptors: int


def held(pid: int) -> Held | None:
    """Resident memory and open file descriptors; None where there is no such process (any more)."""
    folder = Path(f"/proc/{pid}")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        pages = int((folder / "statm").read_text().split()[1])
        return Held(pages * _PAGE_BYTES, len(os.listdir(folder / "fd")))
    return None
