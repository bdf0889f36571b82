"""BentoML with a task endpoint: `/read/submit`, then `/read/get?task_id=…`. Run by `bentoml serve`.

One worker, which is BentoML's default. Two workers of a server share a SQLite file, and BentoML 1.4.40 loses results in
it. A worker has one connection for all that it does: where somebody asks it for a result (a SELECT is open), the other
worker commits, and then a task of the first one ends, its UPDATE fails at once with SQLITE_BUSY_SNAPSHOT. Nobody rolls
back, so every later write of that worker fails too, and its tasks are "in progress" for ever. Two servers with a file
each do not meet.
"""

from pathlib import Path
from typing import Any

import bentoml

from benchmarks.peers.reading import LiteRtReader


@bentoml.service(workers=1)
class Reading:
    """One image in, one reading out, later."""

    def __init__(self) -> None:
        self._reader = LiteRtReader()

    @bentoml.task  # type: ignore[untyped-decorator]
    def read(self, image: Path) -> dict[str, Any]:
        """Read an uploaded file."""
        return self._reader.read(image.read_bytes())
