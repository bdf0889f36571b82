"""Takes what is due from a list of the ledger and does it, each in a thread of its own, until told to stop.

Beside the reaper's loop and never in it: whoever is slow on the other side delays no job.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from shared.errors import MediScanError
from shared.ledger.delivery_list import DeliveryList
from shared.names import JobRef

log = logging.getLogger(__name__)


class Rounds:
    """What is due, `concurrency` at once.

    deliver: makes one attempt; what it raises leaves it to the end of its lease.
    """

    def __init__(
        self,
        name: str,
        due: DeliveryList,
        deliver: Callable[[JobRef], None],
        *,
        concurrency: int,
        interval_s: float,
    ) -> None:
        self._name = name
        self._due = due
        self._deliver = deliver
        self._concurrency = concurrency
        self._interval_s = interval_s
        self._free = threading.Semaphore(concurrency)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix=name)

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop; attempts under way are then left to their end."""
        try:
            while not stop.is_set():
                busy = self.look()
                stop.wait(0 if busy else self._interval_s)
        finally:
            # Whichever of the loops fails takes the process along, and that is started again.
            stop.set()
            self._threads.shutdown(cancel_futures=True)

    def look(self) -> bool:
        """Begin the attempts that are due and for which there is a thread; True if there may be more at once."""
        try:
            refs = self._due.due(self._concurrency)
        except MediScanError as error:
            log.warning("%s: %s", self._name, error.detail, extra={"code": error.code})
            return False
        for ref in refs:
            # Waits for a thread before it takes a lease, which would run out in a queue.
            self._free.acquire()
            self._threads.submit(self._deliver_and_free, ref)
        return len(refs) >= self._concurrency

    def _deliver_and_free(self, ref: JobRef) -> None:
        try:
            self._deliver(ref)
        except MediScanError as error:
            # Its lease runs out, and it comes round again.
            log.warning("%s: %s", self._name, error.detail, extra={"job": ref, "code": error.code})
        except Exception:
            log.exception("%s: an attempt failed unexpectedly", self._name, extra={"job": ref})
        finally:
            self._free.release()
