"""The ledger server's clock, which a test may step: libfaketime, where it is installed (Debian: `libfaketime`)."""

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

_LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class Clock:
    """Steps the clock of the one process that is started with `command` in front."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mediscan-clock-")
        self._file = Path(self._folder.name) / "offset"
        self._offset_s = 0

    @property
    def can_step(self) -> bool:
        """Whether libfaketime is there."""
        return bool(_LIBRARIES)

    @property
    def command(self) -> list[str]:
        """What to put in front of a server's command line; nothing without libfaketime."""
        if not self.can_step:
            return []
        # Timers must go on: only the time of day is stepped. The file is read again each second.
        return [
            "env",
            f"LD_PRELOAD={_LIBRARIES[0]}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_CACHE_DURATION=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        ]

    def step(self, seconds: int) -> None:
        """Step the clock from where it is; the process notices within a second."""
        self._offset_s += seconds
        self._file.write_text(f"{self._offset_s:+d}\n")

    def __enter__(self) -> Self:
        self.step(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()
