"""A job's event stream, read beside the test."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import httpx

from mediscan.sse import Event, EventReader
from tests.support.waiting import wait_until

#: No stream of a test lasts longer.
LONG_S = 60


class Stream:
    """Reads a job's event stream in a thread of its own until it ends or is cut."""

    def __init__(self, url: str, job_id: str, after: str = "", **headers: str) -> None:
        self.events: list[Event] = []
        self.comments = 0
        self.status = 0
        self.headers = httpx.Headers()
        self._url = f"{url}/v1/jobs/{job_id}/events"
        self._headers = {**headers, **({"Last-Event-ID": after} if after else {})}
        self._cut = threading.Event()
        self._threads = ThreadPoolExecutor(1)
        self._read: Future[None] = self._threads.submit(self._run)

    def _run(self) -> None:
        reader = EventReader()
        with httpx.stream("GET", self._url, headers=self._headers, timeout=LONG_S) as answer:
            self.headers, self.status = answer.headers, answer.status_code
            for piece in answer.iter_bytes():
                self.comments += piece.count(b": still here")
                self.events += reader.feed(piece)
                if self._cut.is_set():
                    return

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def saw(self, kind: str) -> None:
        """Return once an event of this kind has come."""
        wait_until(lambda: kind in self.types or self._read.done(), timeout_s=LONG_S / 2, what=kind)
        assert kind in self.types, self.types

    def ended(self) -> list[str]:
        """What came, once the server has ended the stream."""
        self._read.result(LONG_S)
        self._threads.shutdown()
        return self.types

    def is_over(self) -> bool:
        """Whether it has ended or was cut off."""
        return self._read.done()

    def cut_at_the_next_event(self) -> None:
        """Hang up once another event has come."""
        self._cut.set()
