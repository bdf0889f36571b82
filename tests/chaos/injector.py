"""Carries a schedule out beside the client, and writes down what was done."""

import random
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from tests.chaos.arena import Arena
from tests.chaos.faults import FAULTS
from tests.chaos.schedule import Planned

_LOOK_S = 0.05
#: Many may wait for the same target.
_AT_ONCE = 24


@dataclass(frozen=True)
class Struck:
    """What became of one planned fault; times in seconds from the start of the run."""

    fault: str
    is_alone: bool
    accepted_before: int
    began_s: float
    ended_s: float
    note: str


class Injector:
    """Strikes from a thread of its own; `is_done` once everything is healed."""

    def __init__(self, arena: Arena, planned: Sequence[Planned], accepted: Callable[[], int]) -> None:
        self._arena = arena
        self._planned = planned
        self._accepted = accepted
        self._start = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="injector", daemon=True)
        #: In the order in which they ended.
        self.timeline: list[Struck] = []

    @property
    def is_done(self) -> bool:
        """Whether all of the schedule lies behind us."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Begin; `accepted` says how far the client is."""
        self._start = time.monotonic()
        self._thread.start()

    def join(self) -> None:
        """Return once everything is healed."""
        self._thread.join()

    def _run(self) -> None:
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fault") as pool:
            for each in self._planned:
                while self._accepted() < each.after_jobs:
                    time.sleep(_LOOK_S)
                if each.is_alone:
                    wait(running)
                running.add(pool.submit(self._strike, each))
                if each.is_alone:
                    wait(running)

    def _strike(self, each: Planned) -> None:
        fault = FAULTS[each.fault]
        with self._arena.holding(*fault.targets):
            accepted, began = self._accepted(), time.monotonic()
            try:
                note = fault.strike(self._arena, random.Random(each.seed))
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                note = f"not done: {type(error).__name__} at {last.name}: {error}"
            ended = time.monotonic()
        self.timeline.append(
            Struck(
                each.fault,
                each.is_alone,
                accepted,
                round(began - self._start, 1),
                round(ended - self._start, 1),
                note,
            )
        )
