"""How fast, beside whom, and where the time goes: `make bench`.

Every figure is a ratio from one run: MediScan and its peers take turns on the same cores with the same images and the
same client, durability on. Writes `report.json` and `report.html` and prints the table that the README shows.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import curves, floor, processes
from benchmarks.drawn import pictures
from benchmarks.field import PEERS
from benchmarks.load import saturate
from benchmarks.ours import MediScan
from benchmarks.page import page
from benchmarks.race import Entrant, Plan, race
from benchmarks.redis_commands import counted
from benchmarks.say import say
from benchmarks.subject import Subject
from benchmarks.summary import headline
from tests.support.launch import ROOT

_IMAGES = 16
_PARTS = {"step", "floor", "race", "curves"}


@dataclass(frozen=True)
class Size:
    """How long a run takes."""

    race: Plan
    step_runs: int
    floor_s: float
    sides: tuple[int, ...]
    depths: tuple[int, ...]
    stored: tuple[int, ...]
    waiters: tuple[int, ...]
    #: Watched at each point of a curve.
    jobs: int


#: About a quarter of an hour on two quiet cores.
FULL = Size(
    race=Plan(rounds=3, jobs=400, slow_jobs=48, idle_jobs=40),
    step_runs=60,
    floor_s=8,
    sides=(224, 512, 1024, 2048, 4096),
    depths=(100, 1_000, 10_000, 100_000),
    stored=(1_000, 10_000, 100_000, 1_000_000),
    waiters=(1, 10, 100, 1_000),
    jobs=160,
)
#: Under four minutes.
SHORT = Size(
    race=Plan(rounds=1, jobs=160, slow_jobs=24, idle_jobs=16),
    step_runs=15,
    floor_s=3,
    sides=(224, 1024, 4096),
    depths=(100, 1_000),
    stored=(1_000, 10_000),
    waiters=(1, 100),
    jobs=64,
)
#: For the test of this harness: every part once, with counts that say nothing.
TINY = Size(
    race=Plan(rounds=1, jobs=4, slow_jobs=2, idle_jobs=2),
    step_runs=2,
    floor_s=0.2,
    sides=(64,),
    depths=(30,),
    stored=(3,),
    waiters=(2,),
    jobs=4,
)


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fastest", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one round, shallow curves: under four minutes")
    parser.add_argument("--tiny", action="store_true", help="counts that say nothing: tries the harness")
    parser.add_argument("--only", nargs="+", default=sorted(_PARTS), choices=sorted(_PARTS))
    parser.add_argument("--peers", nargs="*", help="names of those that run; all unless given")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "bench")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # whatever runs is ended on the way out
    size = TINY if chosen.tiny else SHORT if chosen.short else FULL
    peers = [peer for peer in PEERS if chosen.peers is None or peer.__name__ in chosen.peers]
    for report in run(size, peers, set(chosen.only), say):
        _write(report, chosen.out)
    say(headline(report))
    say(f"written: {chosen.out}/report.html and report.json")
    return 0


def _write(report: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=1))
    (folder / "report.html").write_text(page(report))


def run(
    size: Size, peers: Sequence[type[Subject]], parts: set[str], say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """What is known so far, as one object of plain JSON, after each part: a run that is cut off has said something."""
    began = time.monotonic()
    report: dict[str, Any] = {"conditions": _conditions()}
    images = pictures(_IMAGES)
    measured: dict[str, Callable[[], dict[str, Any]]] = {
        "step": lambda: {"step": _step(size.step_runs)},
        "floor": lambda: {"floor": floor.measure(size.floor_s), "redis": _redis(images, size.race.jobs)},
        "race": lambda: {"race": [_entrant(one) for one in race([MediScan, *peers], images, size.race, say)]},
        "curves": lambda: {"curves": _curves(size, say)},
    }
    for part, measure in measured.items():
        if part in parts:
            say(part)
            report |= measure()
            report["conditions"] |= {
                "seconds": round(time.monotonic() - began),
                "load_after": processes.load_average(),
            }
            yield report


def _conditions() -> dict[str, Any]:
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "revision": revision.stdout.strip() or "none",
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "python": platform.python_version(),
        "load_before": processes.load_average(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _step(runs: int) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-m", "benchmarks.ml_step", str(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _redis(images: Sequence[bytes], jobs: int) -> dict[str, dict[str, float]]:
    with MediScan() as cluster:
        saturate(cluster, images, _IMAGES)
        with counted(cluster, jobs) as found:
            saturate(cluster, images, jobs)
            time.sleep(2)  # the reaper archives within a second
    return found


def _entrant(one: Entrant) -> dict[str, Any]:
    return {
        "name": one.name,
        "promise": one.promise,
        "absent": one.absent,
        "broke": one.broke,
        "per_s": one.per_s,
        "spread": one.spread,
        "cpu_us": one.cpu_us,
        "idle_p50_ms": one.quantile_ms(0.5),
        "idle_p99_ms": one.quantile_ms(0.99),
        "resident_mib": one.resident,
        "largest_mib": one.largest_mib,
        "rounds": [asdict(burst) | {"per_s": burst.per_s} for burst in one.bursts],
        "roles_us": _roles(one),
    }


def _roles(one: Entrant) -> dict[str, float]:
    """Processor time a job by role, the mean over rounds."""
    roles = {role for burst in one.bursts for role in burst.cpu_us}
    return {
        role: sum(burst.cpu_us.get(role, 0.0) for burst in one.bursts) / len(one.bursts)
        for role in sorted(roles)
    }


def _curves(size: Size, say: Callable[[str], None]) -> dict[str, list[dict[str, Any]]]:
    measured: dict[str, Callable[[], list[curves.Point]]] = {
        "image side, px": lambda: curves.image_size(size.sides, size.jobs),
        "queued jobs": lambda: curves.backlog(size.depths),
        "stored jobs": lambda: curves.stored(size.stored, size.jobs),
        "waiting requests": lambda: curves.waiters(size.waiters, size.jobs),
    }
    found = {}
    for name, measure in measured.items():
        points = measure()
        found[name] = [asdict(point) | {"total_us": point.total_us} for point in points]
        say(f"{name}: " + ", ".join(f"{point.size:,}: {point.total_us:,.0f} us" for point in points))
    return found


if __name__ == "__main__":
    sys.exit(main())
