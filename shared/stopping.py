"""A worker that is told to stop does stop, whatever holds it up.

Celery lets running tasks end first and then waits for its children, without an end where a child is stuck. After the
lease of its stage a worker holds nothing any more, so there is nothing left to wait for.
"""

import faulthandler
import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Timer

from billiard import active_children
from celery.signals import worker_shutting_down

log = logging.getLogger(__name__)

#: For a child to say where it was.
_LAST_WORDS_S = 0.5


def stop_within(limit_s: float) -> None:
    """Once told to stop, this Celery worker has `limit_s`; then the stack of each thread is logged, and it ends."""
    faulthandler.enable()  # in the children too: SIGABRT makes them say where they are

    def begin(**_: object) -> None:
        timer = Timer(limit_s, _end, [limit_s])
        timer.daemon = True
        timer.start()

    worker_shutting_down.connect(begin, weak=False)


@contextmanager
def explained() -> Iterator[None]:
    """Around a worker's life: an end that nobody asked for is logged, and has a status that says so to a supervisor.

    Celery ends with status 0 also where it gives up.
    """
    told: list[str] = []

    def note(**said: object) -> None:
        told.append(str(said.get("sig")))

    worker_shutting_down.connect(note, weak=False)
    try:
        yield
    except BaseException as error:
        _told_or_logged(told, error.code if isinstance(error, SystemExit) else type(error).__name__)
        raise
    else:
        _told_or_logged(told, 0)
    finally:
        worker_shutting_down.disconnect(note)


def _told_or_logged(told: Sequence[str], status: object) -> None:
    if told:
        return
    log.critical("this worker ends without having been told to, status %s", status)
    if not status:
        raise SystemExit(1)


def _end(limit_s: float) -> None:
    log.critical("told to stop %s s ago and still here: the stacks of all threads follow", limit_s)
    faulthandler.dump_traceback()
    for number in (signal.SIGABRT, signal.SIGKILL):
        for child in active_children():
            with suppress(ProcessLookupError):
                os.kill(child.pid, number)
        time.sleep(_LAST_WORDS_S)
    os._exit(1)
