"""Waiting for a job: a request that is answered when there is news, and not before unless its time is up."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from services.gateway.notices import Watch
from services.gateway.resources import Resources
from shared.contracts import JobView
from shared.errors import LedgerUnavailableError
from shared.names import JobRef

T = TypeVar("T")

#: A blocking call that finds a job as it stands.
Look = Callable[[], JobView]

#: One preference of RFC 7240, 4.3. A number of more digits is no wait that anybody means.
_PREFERRED = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:;.*)?', re.IGNORECASE)


def preferred_wait_s(prefer: str | None) -> int | None:
    """The seconds of `Prefer: wait=…`, the first where there are several; None where there is none that is usable."""
    found = (_PREFERRED.fullmatch(item) for item in (prefer or "").split(","))
    return next((int(match[1]) for match in found if match), None)


async def until(
    held: Resources,
    ref: JobRef,
    look: Look,
    is_news: Callable[[JobView], bool],
    wait_s: float,
    *,
    for_end: bool = False,
) -> JobView | None:
    """The job as soon as `is_news` of it; None where it is not `wait_s` seconds from now, or the gateway stops.

    for_end: the job's end alone is news, and nothing before it need be looked at.
    Errors as of `look`; TooManyError, HouseFullError where no more requests may wait. A ledger that goes away
    meanwhile is waited for; LedgerUnavailableError where it is not back when the time is up.
    """
    job = await held.run(look)
    if is_news(job):
        return job
    give_up = time.monotonic() + wait_s
    with held.waits.one(ref.tenant), held.notices.watch(ref, for_end=for_end) as watch:
        while not held.notices.stopping and (left := give_up - time.monotonic()) > 0:
            watch.known_version = job.version
            await watch.woken(left)
            job = await look_again(held, watch, look, job, give_up)
            if is_news(job):
                return job
    return None


async def look_again(held: Resources, watch: Watch, look: Look, seen: JobView, give_up: float) -> JobView:
    """The job as it stands; as it was `seen` while the ledger is away and it is not yet `give_up` (monotonic)."""
    try:
        return await held.run(look)
    except LedgerUnavailableError:
        if time.monotonic() >= give_up and not held.notices.stopping:
            raise
        watch.known_version = None
        return seen


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` returns; None, with the work cancelled, as soon as the caller has hung up."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
