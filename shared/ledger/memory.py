"""How full the ledger's memory is, asked at most once a second."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import redis

_SAMPLE_S = 1.0


@dataclass(frozen=True)
class MemoryUse:
    """The server's memory, in bytes."""

    #: As the server itself counts when it decides to refuse.
    used: int
    #: None: no limit.
    limit: int | None

    @classmethod
    def parse(cls, memory: Mapping[str, Any]) -> Self:
        """Read what `INFO memory` says."""
        return cls(memory["used_memory"] - memory["mem_not_counted_for_evict"], memory["maxmemory"] or None)

    @property
    def part(self) -> float:
        """0 for an empty server or one without a limit, 1 at the limit, more while accepted work goes over it."""
        return self.used / self.limit if self.limit else 0.0


class MemoryGauge:
    """The part of the server's `maxmemory` that is used; safe for any number of threads."""

    def __init__(self, client: "redis.Redis") -> None:
        self._redis = client
        self._lock = threading.Lock()
        self._used = 0.0
        self._next_sample = 0.0

    def used(self) -> float:
        """As `MemoryUse.part`, of the last second."""
        with self._lock:
            if time.monotonic() >= self._next_sample:
                self._used = MemoryUse.parse(self._redis.info("memory")).part
                self._next_sample = time.monotonic() + _SAMPLE_S
            return self._used
