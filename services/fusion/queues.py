"""What the reaper knows of the queues: which are empty now, and which have been for as long as it watched.

An empty queue alone proves little of a message that is old already: a worker may have taken it a moment ago. One that
was empty at each look for a while does.
"""

import time
from collections.abc import Callable, Mapping

from celery import Celery

from shared import queue
from shared.errors import BrokerUnavailableError
from shared.names import Stage


class Queues:
    """Of one reaper, which looks every now and then."""

    def __init__(self, app: Celery, now: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._now = now
        self._since: Mapping[Stage, float] = {}

    def empty(self) -> set[Stage]:
        """Stages whose queue holds nothing now. Of a broker that is away nothing is known, and all begins anew."""
        found, now = self._empty(), self._now()
        self._since = {stage: self._since.get(stage, now) for stage in found}
        return found

    def empty_for(self, seconds: float) -> set[Stage]:
        """Stages whose queue held nothing at any look for that long."""
        now = self._now()
        return {stage for stage, since in self._since.items() if now - since >= seconds}

    def forget(self) -> set[Stage]:
        """Nobody looks this time, so no stage is known to have an empty queue."""
        self._since = {}
        return set()

    def _empty(self) -> set[Stage]:
        try:
            return {stage for stage, waiting in queue.depths(self._app).items() if not waiting}
        except BrokerUnavailableError:
            return set()  # unknown is not empty: publishing now would fail anyway
