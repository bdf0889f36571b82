"""BentoML with a task endpoint: `/read/submit`, then `/read/get?task_id=…`. Run by `bentoml serve`."""

from pathlib import Path
from typing import Any

import bentoml

from benchmarks.peers.reading import LiteRtReader


@bentoml.service(workers=2)
class Reading:
    """One image in, one reading out, later."""

    def __init__(self) -> None:
        self._reader = LiteRtReader()

    @bentoml.task  # type: ignore[untyped-decorator]
    def read(self, image: Path) -> dict[str, Any]:
        """Read an uploaded file."""
        return self._reader.read(image.read_bytes())
