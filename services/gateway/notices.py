"""How waiting requests learn that a job changed: one connection to the ledger, on which it tells every change.

A notice is a hint, as a message in a queue is: whoever is woken looks at the job itself. One that is lost costs
time only, because all are woken once a broken connection is back, and versions are compared now and then.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.asyncio import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shared.errors import LedgerUnavailableError
from shared.job_state import TERMINAL, JobState
from shared.ledger.connection import notice_pool
from shared.names import BatchRef, JobRef, Key
from shared.settings import Settings

log = logging.getLogger(__name__)

#: Between two attempts to connect, in seconds; doubles, less up to a half by chance.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
#: A quiet connection is asked whether it lives, and given up where it does not answer.
_PING_S, _DEAD_S = 10.0, 30.0

#: What the ledger tells of a job that is not over, nor erased.
_LIVE = frozenset(JobState) - TERMINAL

#: So that many gateways do not ask at the same moment.
_SPREAD = random.SystemRandom()

#: Which version each of some jobs has; a job that is gone is left out.
Versions = Callable[[Sequence[JobRef]], Awaitable[Mapping[JobRef, int]]]


class Watch:
    """One request that waits for one job or batch."""

    def __init__(self, ref: JobRef | BatchRef, *, for_end: bool = False) -> None:
        self.ref = ref
        #: Whether it is for the job's end alone: what a job goes through before is no reason to look.
        self.for_end = for_end
        #: Of the job as the waiting request last saw it; None where it could not be seen.
        self.known_version: int | None = None
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """The job may have changed."""
        self._woken.set()

    async def woken(self, timeout_s: float) -> bool:
        """Wait until there is a reason to look at the job; False where there was none within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class Notices:
    """Wakes the watches of a job when the ledger says that it changed. Lives on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._pool = notice_pool(
            settings,
            decode_responses=True,
            protocol=2,
            socket_connect_timeout=2,
            retry=Retry(NoBackoff(), 0),
        )
        #: By channel. A channel is subscribed to for as long as anybody watches.
        self._watches: dict[str, set[Watch]] = {}
        #: Channels on which nothing is missed.
        self._confirmed: set[str] = set()
        self._wanted_changed = asyncio.Event()
        self._failures = 0
        #: The gateway shuts down: nobody shall wait any longer.
        self.stopping = False

    @contextmanager
    def watch(self, ref: JobRef | BatchRef, *, for_end: bool = False) -> Iterator[Watch]:
        """Be woken for each change of a job from now on, or for its end alone, and now and then without one."""
        watch, channel = Watch(ref, for_end=for_end), Key.changes(ref)
        self._watches.setdefault(channel, set()).add(watch)
        self._wanted_changed.set()
        if channel in self._confirmed:
            watch.wake()  # a change since the caller's last look has been told already
        try:
            yield watch
        finally:
            self._watches[channel].discard(watch)
            if not self._watches[channel]:
                del self._watches[channel]
                self._wanted_changed.set()

    def note(self, channel: str, state: str) -> None:
        """The ledger said that the job of `channel` is in this state now, or that it was erased."""
        self._wake(channel, is_end=state not in _LIVE)

    def stop(self) -> None:
        """Wake everybody for good."""
        self.stopping = True
        for channel in self._watches:
            self._wake(channel)

    async def listen(self) -> None:
        """Keep the connection while anybody watches, until cancelled."""
        while True:
            while not self._watches:
                self._wanted_changed.clear()
                await self._wanted_changed.wait()
            connection = self._connection()
            try:
                await self._follow(connection)
            except* (redis.exceptions.RedisError, OSError) as lost:
                self._note_failure(lost)
            finally:
                self._confirmed.clear()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(_pause_s(self._failures))

    async def compare(self, versions: Versions, every_s: float) -> None:
        """Wake, about every `every_s` seconds, whoever missed a change, until cancelled."""
        while True:
            await asyncio.sleep(every_s * _SPREAD.uniform(0.8, 1.2))
            if self._watches:
                await self._compare(versions)

    async def _compare(self, versions: Versions) -> None:
        watches = [watch for watching in self._watches.values() for watch in watching]
        try:
            found = await versions(list({watch.ref for watch in watches if isinstance(watch.ref, JobRef)}))
        except LedgerUnavailableError:
            log.info("the ledger is away: nobody who waits can look now")
            return
        for watch in watches:
            if isinstance(watch.ref, BatchRef) or found.get(watch.ref) != watch.known_version:
                watch.wake()  # of a batch there is no version to compare

    async def _follow(self, connection: Connection) -> None:
        async with asyncio.TaskGroup() as tasks:
            await connection.connect()  # type: ignore[no-untyped-call]
            tasks.create_task(self._ask(connection))
            tasks.create_task(self._hear(connection))

    async def _ask(self, connection: Connection) -> None:
        asked: set[str] = set()
        while True:
            self._wanted_changed.clear()
            wanted = set(self._watches)
            if new := wanted - asked:
                await connection.send_command("SUBSCRIBE", *new)
            if old := asked - wanted:
                await connection.send_command("UNSUBSCRIBE", *old)
                self._confirmed -= old
            asked = wanted
            try:
                async with asyncio.timeout(_PING_S):
                    await self._wanted_changed.wait()
            except TimeoutError:
                await connection.send_command("PING")

    async def _hear(self, connection: Connection) -> None:
        while True:
            said: Any = await connection.read_response(timeout=_DEAD_S)
            if said is None:
                raise redis.exceptions.TimeoutError("no answer to a ping")
            if said[0] == "subscribe":
                self._note_confirmed(said[1])
                self._wake(said[1])
            if said[0] == "message":
                self.note(said[1], said[2])

    def _connection(self) -> Connection:
        made: Connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return made

    def _wake(self, channel: str, *, is_end: bool = True) -> None:
        for watch in self._watches.get(channel, ()):
            if is_end or not watch.for_end:
                watch.wake()

    def _note_confirmed(self, channel: str) -> None:
        if channel in self._watches:
            self._confirmed.add(channel)
        if self._failures:
            log.info("the ledger tells its changes again")
            self._failures = 0

    def _note_failure(self, lost: BaseExceptionGroup) -> None:
        if not self._failures:
            kinds = ", ".join(sorted({type(error).__name__ for error in lost.exceptions}))
            log.warning("the ledger tells no changes (%s): who waits looks now and then", kinds)
        self._failures += 1


def _pause_s(failures: int) -> float:
    longest: float = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(failures, 10))
    return longest * _SPREAD.uniform(0.5, 1)
