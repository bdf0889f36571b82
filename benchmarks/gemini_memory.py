"""Whether what a Gemini worker holds grows for ever: `make gemini-memory`.

The worker's own way to Gemini, asked by as many threads as a worker has, with a fake Gemini and a ledger beside it that
are processes of their own; one image in fifty is large. Resident memory is told after each part of the calls: growth
that ends is memory kept for the next time, growth that goes on is a leak. `--unbound` leaves malloc as it is.
"""

import argparse
import gc
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from benchmarks.say import say
from services.gemini_worker import arenas
from services.gemini_worker.settings import GeminiWorkerSettings
from services.gemini_worker.tasks import Asker
from shared.contracts import GeminiReading
from tests.chaos.pictures import Wishes
from tests.support.images import scan
from tests.support.memory import resident
from tests.support.valkey import Server

_MIB = 1 << 20
_LARGE_ONE_IN = 50


def main() -> int:
    """Run and report; exit status 1 where the second half of the calls added more than a tenth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gemini_memory", description=__doc__)
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--parts", type=int, default=12)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--unbound", action="store_true", help="leave malloc's arenas as they are")
    given = parser.parse_args()
    if not given.unbound:
        arenas.bound()
    with _outside() as settings:
        held = list(_held(Asker(settings), given.calls, given.parts, given.threads))
    half, last = held[len(held) // 2 - 1], held[-1]
    say(f"the second half added {last - half:+.1f} MiB to {half:.1f}")
    return 0 if last <= half * 1.1 else 1


def _held(asker: Asker, calls: int, parts: int, threads: int) -> Iterator[float]:
    images = [scan(64)] * (_LARGE_ONE_IN - 1) + [Wishes(1).large]
    with ThreadPoolExecutor(threads) as pool:
        for part in range(parts):
            _ask(asker, pool, images, calls // parts)
            held = resident(os.getpid()) / _MIB
            done = (part + 1) * (calls // parts)
            say(f"{done:6,} calls  {held:6.1f} MiB  {len(gc.get_objects()):,} objects")
            yield held


def _ask(asker: Asker, pool: ThreadPoolExecutor, images: Sequence[bytes], calls: int) -> None:
    def ask(number: int) -> bool:
        return isinstance(asker.ask(images[number % len(images)]), GeminiReading)

    if not all(pool.map(ask, range(calls))):
        raise SystemExit("the fake Gemini did not answer every call: this measured something else")


@contextmanager
def _outside() -> Iterator[GeminiWorkerSettings]:
    """A ledger and a fake Gemini; settings that are patient with a busy machine."""
    server = Server()
    command = [sys.executable, "-m", "tests.fake_gemini"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as fake:  # noqa: S603 - our own module
        try:
            server.start()
            assert fake.stdout is not None  # noqa: S101 - it was asked for
            yield GeminiWorkerSettings(
                redis_url=server.url,
                gemini_api_key="test-key",
                gemini_base_url=fake.stdout.readline().strip(),
                gemini_timeout_s=60,
                gemini_lease_s=120,
            )
        finally:
            fake.terminate()
            server.remove()


if __name__ == "__main__":
    sys.exit(main())
