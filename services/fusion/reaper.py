"""Keeps every job moving: publishes lost messages, frees abandoned readings, ends waits, archives and expires.

A process of its own and not a Celery task, so that a long queue cannot delay it. What to do with a job is
decided by one atomic script (`shared/ledger/lua/reap.lua`); this loop carries it out. Running two is safe.
"""

import logging
import signal
import threading
import time
from collections.abc import Sequence

from celery import Celery

from services.fusion.archive import archive_all
from services.fusion.dicom.exporter import Exporter
from services.fusion.drift import DriftWatch
from services.fusion.lost import LedgerWatch
from services.fusion.queues import Queues
from services.fusion.retention import sweep
from services.fusion.settings import FusionSettings
from services.fusion.webhooks.courier import Courier
from shared import queue
from shared.audit.sealer import Sealer
from shared.audit.trail import Trail
from shared.blob_store import BlobStore
from shared.client_ids import erase
from shared.errors import BrokerUnavailableError, MediScanError
from shared.ledger import Action, Ledger
from shared.names import JobRef, Priority, Stage
from shared.observe import cluster, metrics
from shared.observe.house_metrics import HouseCollector
from shared.worker import wait_for

log = logging.getLogger(__name__)

#: Finished jobs written down together; one by one where that fails.
_AT_ONCE = 64


def run(app: Celery, settings: FusionSettings) -> None:
    """Reap until told to stop. SetupError if the ledger does not answer in time."""
    ledger = Ledger.open(settings, patience_s=1)
    wait_for(ledger, settings)
    queue.check(app, *Stage)
    blobs = BlobStore.open(settings.blob_url)
    metrics.serve(settings, HouseCollector(lambda: cluster.look(ledger, app, blobs)))
    reaper = Reaper(app, settings, ledger, blobs)
    beside: dict[str, Courier | Exporter] = {
        "courier": Courier(settings, ledger, blobs),
        "exporter": Exporter(settings, ledger, blobs),
    }
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    running = [threading.Thread(target=one.run, args=(stop,), name=name) for name, one in beside.items()]
    for thread in running:
        thread.start()
    try:
        while not stop.is_set():
            busy = reaper.look()
            stop.wait(0 if busy else settings.reaper_interval_s)
    finally:
        stop.set()
        for thread in running:
            thread.join()


class Reaper:
    """One look at the due jobs at a time; between looks it remembers when it last did the rarer things."""

    def __init__(self, app: Celery, settings: FusionSettings, ledger: Ledger, blobs: BlobStore) -> None:
        self._app = app
        self._settings = settings
        self._ledger = ledger
        self._blobs = blobs
        self._queues = Queues(app)
        self._watch = LedgerWatch(ledger, blobs, settings)
        self._sealer = Sealer(ledger, Trail(blobs))
        self._drift = DriftWatch(ledger)
        self._next_seal = self._next_sweep = self._next_drift = 0.0

    def look(self) -> bool:
        """Handle one batch; True if there may be more at once. An absent ledger or store is tried again later."""
        try:
            self._ledger.reaper_beat()
            # Unless a message is old enough to be suspected, the broker need not be asked.
            waits_long = self._ledger.waits_long()
            found = self._reap(self._queues.empty() if waits_long else self._queues.forget())
            rescued = self._rescue() if waits_long else 0
            self._erase_again()
            self._watch.look()
            self._seal_in_time()
            self._sweep_in_time()
            self._compare_in_time()
        except MediScanError as error:
            log.warning("reaper: %s", error.detail, extra={"code": error.code})
            return False
        return max(found, rescued) >= self._settings.reaper_batch

    def _reap(self, empty: set[Stage]) -> int:
        refs = self._ledger.due(self._settings.reaper_batch)
        if refs:
            deserted = {stage for stage, workers in self._ledger.alive().items() if not workers}
            self._carry_out(self._ledger.reap(refs, empty=empty, deserted=deserted))
        return len(refs)

    def _rescue(self) -> int:
        """What waits with a lost message need not wait for the job's next look, which may be far off; how many did."""
        empty = self._queues.empty_for(self._settings.republish_after_s)
        refs = self._ledger.suspects(self._settings.reaper_batch, empty=empty)
        actions = self._ledger.reap(refs, empty=empty, deserted=set(), suspected=True)
        self._carry_out(actions)
        return len(actions)

    def _carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if action.stage is not None:
                self._publish(action.ref, action.stage, action.priority)
        self._archive([action.ref for action in actions if action.stage is None])

    # What fails here stays due and comes round again; one job that fails must not hold up the others.

    def _publish(self, ref: JobRef, stage: Stage, priority: Priority) -> None:
        try:
            queue.publish(self._app, ref, stage, priority)
        except BrokerUnavailableError as error:
            log.warning("reaper: %s", error.detail, extra={"job": ref, "code": error.code})

    def _archive(self, refs: Sequence[JobRef]) -> None:
        for start in range(0, len(refs), _AT_ONCE):
            some = refs[start : start + _AT_ONCE]
            if not self._archived(some) and len(some) > 1:
                for ref in some:
                    self._archived([ref])

    def _archived(self, refs: Sequence[JobRef]) -> bool:
        try:
            archive_all([*self._ledger.read_many(refs).values()], self._ledger, self._blobs)
        except MediScanError as error:
            log.warning("reaper: %s", error.detail, extra={"code": error.code, "count": len(refs)})
            return False
        return True

    def _erase_again(self) -> None:
        # Whoever held the job when it was erased may have written something since; and the gateway may have died.
        for ref in self._ledger.to_erase_again(self._settings.reaper_batch):
            erase(self._blobs, ref)
            self._ledger.erased_again(ref)

    def _seal_in_time(self) -> None:
        if time.monotonic() >= self._next_seal:
            self._next_seal = time.monotonic() + self._settings.audit_seal_s
            self._sealer.seal()

    def _compare_in_time(self) -> None:
        if time.monotonic() >= self._next_drift:
            self._next_drift = time.monotonic() + self._settings.drift_interval_s
            self._drift.look()

    def _sweep_in_time(self) -> None:
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + self._settings.sweep_interval_s
        removed = sweep(self._ledger, self._blobs, self._settings, now=time.time())
        if removed:
            log.info("swept old and orphaned objects", extra={"count": removed})
