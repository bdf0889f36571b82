"""The floor under everything: nothing but decode and infer, one process a core. `… SECONDS` prints images a second."""

import json
import socket
import subprocess
import sys
import time

from tests.support.launch import ROOT

_CORES = 2


def main() -> int:
    """One process's share: read drawn pictures for so many seconds, once told to begin."""
    from benchmarks.drawn import pictures  # noqa: PLC0415 - the parent needs none of this
    from services.ml_worker import image  # noqa: PLC0415
    from services.ml_worker.installed import load_installed  # noqa: PLC0415
    from services.ml_worker.settings import MlWorkerSettings  # noqa: PLC0415
    from shared.image.decode import decode  # noqa: PLC0415

    settings, drawn = MlWorkerSettings(), pictures(8)
    installed = load_installed(settings)
    model = installed.bundles[installed.default].open(1)

    def read(at: int) -> None:
        picture = drawn[at % len(drawn)]
        decoded = decode(picture, max_pixels=settings.max_pixels, least_side=image.PREVIEW_SIDE)
        model.infer(image.preprocess(decoded.pixels))

    read(0)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    count, cpu, end = 0, time.process_time(), time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        read(count)
        count += 1
    sys.stdout.write(json.dumps({"count": count, "cpu_s": time.process_time() - cpu}) + "\n")
    return 0


def measure(seconds: float) -> dict[str, float]:
    """Images a second of all cores together, and the processor time of one in µs."""
    running = [_Process(seconds) for _ in range(_CORES)]
    for one in running:
        one.say("go")
    done = [json.loads(one.heard()) for one in running]
    count = sum(one["count"] for one in done)
    return {"per_s": count / seconds, "cpu_us": 1e6 * sum(one["cpu_s"] for one in done) / count}


class _Process:
    """One that is loaded and waits to be told."""

    def __init__(self, seconds: float) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "benchmarks.floor", str(seconds)]
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL, cwd=ROOT
            )
        self._file = ours.makefile("rw")
        ours.close()
        self.heard()

    def say(self, word: str) -> None:
        self._file.write(word + "\n")
        self._file.flush()

    def heard(self) -> str:
        return self._file.readline()


if __name__ == "__main__":
    sys.exit(main())
