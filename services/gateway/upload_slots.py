"""How many uploads one gateway process receives at once: each holds up to a few MiB, so this bounds its memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import HouseFullError


class UploadSlots:
    """Counts uploads on the event loop's one thread. Nobody queues here: who waits would hold a connection."""

    def __init__(self, most: int) -> None:
        self._free = most

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a slot; HouseFullError where all are taken."""
        if self._free == 0:
            said = "This gateway receives as many uploads as it can at once; try again in a moment."
            raise HouseFullError(said, code="uploads_full")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
