"""What a gateway process holds open, and the one way to make a blocking call without stopping the others."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from celery import Celery
from fastapi import Request

from services.gateway.key_ring import KeyRing
from services.gateway.key_store import KeyStore
from services.gateway.notices import Notices
from services.gateway.recent import Recent
from services.gateway.settings import GatewaySettings
from services.gateway.upload_slots import UploadSlots
from services.gateway.wait_slots import WaitSlots
from shared.blob_store import BlobStore
from shared.contracts import ClusterView, Readiness
from shared.ledger import Ledger
from shared.queue import make_celery

P = ParamSpec("P")
T = TypeVar("T")

#: A caller is told of an absent ledger about this soon.
_LEDGER_PATIENCE_S = 2.0


class Counter:
    """Counts from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def add(self, count: int = 1) -> None:
        """Count so many more."""
        with self._lock:
            self._count += count

    def taken(self) -> int:
        """What was counted, and begin again."""
        with self._lock:
            count, self._count = self._count, 0
            return count


@dataclass(frozen=True)
class Resources:
    """The outside world as the gateway sees it."""

    settings: GatewaySettings
    ledger: Ledger
    blobs: BlobStore
    queue: Celery
    threads: ThreadPoolExecutor
    #: None where the gateway takes no keys.
    keys: KeyRing | None
    uploads: UploadSlots
    notices: Notices
    waits: WaitSlots
    #: Requests without a valid key that are not recorded yet.
    refused: Counter = field(default_factory=Counter)
    #: What strangers are told of the house.
    readiness: Recent[Readiness] = field(default_factory=Recent)
    #: What operators are shown of the house.
    cluster: Recent[ClusterView] = field(default_factory=Recent)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a blocking call in one of the bounded threads; what it raises is raised here."""
        loop = asyncio.get_running_loop()
        # Which request and job it is about goes along.
        context = contextvars.copy_context()
        return await loop.run_in_executor(self.threads, lambda: context.run(call, *args, **kwargs))

    def close(self) -> None:
        """Drop threads and connections; calls under way end on their own."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.ledger.close()


def open_resources(settings: GatewaySettings) -> Resources:
    """Open everything, connecting lazily; SetupError for a URL that cannot be used."""
    blobs = BlobStore.open(settings.blob_url)
    return Resources(
        settings=settings,
        ledger=Ledger.open(settings, patience_s=_LEDGER_PATIENCE_S),
        blobs=blobs,
        queue=make_celery(settings),
        threads=ThreadPoolExecutor(settings.blocking_threads, thread_name_prefix="blocking"),
        keys=KeyRing(KeyStore(blobs), settings.key_cache_s) if settings.auth == "keys" else None,
        uploads=UploadSlots(settings.max_concurrent_uploads),
        notices=Notices(settings),
        waits=WaitSlots(settings.max_waits, settings.max_waits_per_tenant),
    )


def of(request: Request) -> Resources:
    """The resources of the application that serves `request`."""
    found = request.app.state.resources
    assert isinstance(found, Resources)  # noqa: S101 - tells mypy; the factory puts it there
    return found
