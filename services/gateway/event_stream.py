"""The event stream of a job as an HTTP answer: what it has come to, then each step as it comes, until it is over."""

import time
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.gateway import lookup
from services.gateway.audited import note_read
from services.gateway.caller import Caller
from services.gateway.events import Event, events
from services.gateway.notices import Watch
from services.gateway.resources import Resources
from services.gateway.waiting import look_again
from shared.contracts import JobView
from shared.errors import MediScanError
from shared.job_state import TERMINAL
from shared.names import JobRef

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_HEARTBEAT = b": still here\n\n"

#: The event that tells a reading.
_TELLS = "ml.done"


class EventStream(StreamingResponse):
    """The events of one job. TooManyError, HouseFullError, before anything is sent, where no more may wait."""

    media_type = "text/event-stream"

    def __init__(self, held: Resources, who: Caller, ref: JobRef, job: JobView, after: str) -> None:
        """job: as it stands; after: the id of the last event that the caller knows."""
        super().__init__((), headers=_HEADERS)
        self._held, self._who, self._ref, self._job, self._after = held, who, ref, job, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the job is over, the caller is gone, or the time that a stream may take is up."""
        with self._held.waits.one(self._ref.tenant), self._held.notices.watch(self._ref) as watch:
            self.body_iterator = self._stream(watch)
            await super().__call__(scope, receive, send)

    async def _stream(self, watch: Watch) -> AsyncIterator[bytes]:
        """Ends without a word where the ledger cannot be asked any more: the caller comes again and is told why."""
        give_up = time.monotonic() + self._held.settings.max_stream_s
        try:
            for event in await self._fresh():
                yield event.encode()
            async for piece in self._follow(watch, give_up):
                yield piece
        except MediScanError:
            return

    async def _follow(self, watch: Watch, give_up: float) -> AsyncIterator[bytes]:
        heartbeat_s = self._held.settings.stream_heartbeat_s
        heartbeat_at = time.monotonic() + heartbeat_s
        while not self._is_at_end() and (now := time.monotonic()) < give_up:
            if now >= heartbeat_at:
                yield _HEARTBEAT
                heartbeat_at = now + heartbeat_s
            watch.known_version = self._job.version
            if await watch.woken(min(heartbeat_at, give_up) - now):
                self._job = await look_again(self._held, watch, self._look, self._job, give_up)
                for event in await self._fresh():
                    yield event.encode()

    def _look(self) -> JobView:
        return lookup.find(self._held, self._ref)

    def _is_at_end(self) -> bool:
        return self._job.state in TERMINAL or self._held.notices.stopping

    async def _fresh(self) -> list[Event]:
        found = events(self._job, self._after)
        if any(event.type == _TELLS for event in found):
            await note_read(self._held, self._who, self._ref, self._job)
        if found:
            self._after = found[-1].id
        return found
