"""Whether what a Gemini worker holds grows for ever: `make gemini-memory`.

A real worker with a ledger, a broker, a blob store and a slow fake Gemini beside it; jobs are recorded and published as
the gateway does, one image in ten large, so that several readings, large and small, are always under way. What the
worker holds is told as it goes on: all of it, and what of that malloc keeps between readings. `--unbound` leaves malloc
as it is.
"""

import argparse
import hashlib
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from celery import Celery

from benchmarks import processes
from benchmarks.say import say
from shared import queue
from shared.blob_store import BlobStore
from shared.ledger import Ledger
from shared.names import Blob, JobRef, Priority, Stage, blob_path
from shared.settings import Settings
from tests.chaos.pictures import Wishes
from tests.fake_gemini import Behaviour, FakeGemini
from tests.support.launch import launch
from tests.support.samples import image_facts, new_job, new_ref
from tests.support.valkey import Server

_WORKER = [sys.executable, "-m", "services.gemini_worker"]
_ALONE = (
    "import runpy; from services.gemini_worker import arenas; arenas.bound = lambda: True; "
    "runpy.run_module('services.gemini_worker', run_name='__main__')"
)
_UNBOUND = [sys.executable, "-c", _ALONE]
_SLOW = Behaviour(delay_s=0.4)
_LARGE_ONE_IN = 10
#: Older jobs are erased: by then they have been read, or never will be.
_LIVE = 100
#: Of what was held at half time: malloc keeps some for the next reading, and a sample may meet several under way.
_MAY_GROW = 1.1


class House:
    """What a Gemini worker needs around it."""

    def __init__(self, folder: Path) -> None:
        self.ledger_server, self.broker_server = Server(), Server()
        self.blob_url = f"file://{folder}"

    def start(self) -> None:
        """Start both servers, and open what a gateway opens."""
        self.ledger_server.start()
        self.broker_server.start("--appendonly", "no")
        settings = Settings(
            redis_url=self.ledger_server.url,
            broker_url=self.broker_server.broker_url,
            blob_url=self.blob_url,
        )
        self._ledger = Ledger.open(settings, patience_s=5)
        self._blobs = BlobStore.open(self.blob_url)
        self._app: Celery = queue.make_celery(settings)

    def environment(self, gemini: FakeGemini) -> dict[str, str]:
        """Of the worker."""
        return {
            "MEDISCAN_REDIS_URL": self.ledger_server.url,
            "MEDISCAN_BROKER_URL": self.broker_server.broker_url,
            "MEDISCAN_BLOB_URL": self.blob_url,
            "MEDISCAN_GEMINI_ENABLED": "true",
            "MEDISCAN_GEMINI_API_KEY": "test-key",
            "MEDISCAN_GEMINI_BASE_URL": gemini.base_url,
        }

    def submit(self, image: bytes) -> JobRef:
        """Record a job and publish its Gemini reading; nobody reads it otherwise."""
        ref = new_ref()
        self._blobs.put(blob_path(ref, Blob.IMAGE), image, durable=False)
        facts = image_facts(sha256=hashlib.sha256(image).hexdigest(), size_bytes=len(image))
        self._ledger.create(ref, new_job(image=facts))
        queue.publish(self._app, ref, Stage.GEMINI, Priority.ROUTINE)
        return ref

    def forget(self, ref: JobRef) -> None:
        """Nothing of a job stays."""
        self._ledger.erase(ref, image_facts(), None)
        self._blobs.delete(blob_path(ref, Blob.IMAGE))

    def close(self) -> None:
        """End both servers."""
        self.ledger_server.remove()
        self.broker_server.remove()


def main() -> int:
    """Run and report; exit status 1 where the second half of the jobs added more than a tenth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gemini_memory", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2400)
    parser.add_argument("--rate", type=float, default=10, help="jobs a second")
    parser.add_argument("--parts", type=int, default=12)
    parser.add_argument("--unbound", action="store_true", help="leave malloc as it is")
    given = parser.parse_args()
    with _working(_UNBOUND if given.unbound else _WORKER) as (house, gemini, pid):
        held = list(_held(house, gemini, pid, given))
    half, last = held[len(held) // 2 - 1], held[-1]
    say(f"the second half added {last - half:+.1f} MiB to {half:.1f}")
    return 0 if last <= half * _MAY_GROW else 1


def _held(house: House, gemini: FakeGemini, pid: int, given: argparse.Namespace) -> Iterator[float]:
    wishes, live, started = Wishes(1), deque[JobRef](), time.monotonic()
    for number in range(1, given.jobs + 1):
        live.append(house.submit(wishes.large if number % _LARGE_ONE_IN == 0 else wishes.next().image))
        if len(live) > _LIVE:
            house.forget(live.popleft())
        if number % (given.jobs // given.parts) == 0:
            held = processes.resident_mib(pid)
            kept = processes.malloc_mib(pid)
            say(f"{number:6,} jobs  {len(gemini.requests):6,} calls  {held:6.1f} MiB  {kept:5.1f} by malloc")
            yield held
        time.sleep(max(0.0, started + number / given.rate - time.monotonic()))


@contextmanager
def _working(command: list[str]) -> Iterator[tuple[House, FakeGemini, int]]:
    with TemporaryDirectory(prefix="mediscan-") as folder, FakeGemini() as gemini:
        gemini.behave(_SLOW)
        house = House(Path(folder) / "blobs")
        try:
            house.start()
            worker = launch(command, Path(folder) / "worker.log", house.environment(gemini))
            try:
                yield house, gemini, worker.pid
            finally:
                worker.terminate()
                worker.wait(60)
        finally:
            house.close()


if __name__ == "__main__":
    sys.exit(main())
