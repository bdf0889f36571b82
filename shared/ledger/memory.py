"""How full the ledger's memory is, asked at most once a second."""

import threading
import time
from typing import Any

import redis

_SAMPLE_S = 1.0


class MemoryGauge:
    """The part of the server's `maxmemory` that is used; safe for any number of threads."""

    def __init__(self, client: "redis.Redis") -> None:
        self._redis = client
        self._lock = threading.Lock()
        self._used = 0.0
        self._next_sample = 0.0

    def used(self) -> float:
        """0 for an empty server or one without a limit, 1 at the limit, more while accepted work goes over it."""
        with self._lock:
            if time.monotonic() >= self._next_sample:
                self._used = _part_used(self._redis.info("memory"))
                self._next_sample = time.monotonic() + _SAMPLE_S
            return self._used


def _part_used(memory: dict[str, Any]) -> float:
    limit = memory["maxmemory"]
    # As the server itself counts when it decides to refuse.
    used = memory["used_memory"] - memory["mem_not_counted_for_evict"]
    return used / limit if limit else 0.0
