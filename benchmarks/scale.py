"""What a house for so many studies a second needs, reckoned from measured costs and tried in a simulation.

`python -m benchmarks.scale` prints the table of docs/scale.md; `--write` puts it there. One study is one job. The sizes
are arithmetic (`plan`): processor time a job times the rate, at a load that leaves room. Whether jobs get through a
house of that size in time is then simulated (`simulate`): arrivals at random, queues in order of arrival, and a ledger
that does what has come together and then waits for its disk once, as a server with `appendfsync always` does.
"""

import argparse
import heapq
import itertools
import json
import math
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
COSTS = _HERE / "costs.json"
PAGE = _HERE.parent / "docs" / "scale.md"
_BEGIN, _END = "<!-- scale: begin -->\n", "<!-- scale: end -->\n"

RATES = (1, 10, 100, 1000)
#: Busier than this nobody is planned to be: queues grow long before 1.
_LOAD = 0.6
#: Visits of a job to the ledger that somebody waits for.
_LEDGER_STEPS = 4
#: Assumed, not measured: how long Gemini takes for an answer.
_GEMINI_S = 2.0
_AT_THAT_LOAD = "on such a machine at that load."
_DAY_S = 86_400
_MONTH_DAYS = 30


@dataclass(frozen=True)
class Costs:
    """Of one job, in seconds of one core and in bytes."""

    gateway_s: float
    ml_s: float
    fusion_s: float
    reaper_s: float
    ledger_s: float
    broker_s: float
    fsync_s: float
    ledger_commands: float
    ledger_bytes: float
    broker_bytes: float
    blob_bytes: float
    blob_objects: float
    image_bytes: float
    #: How these were measured.
    source: str

    @classmethod
    def load(cls, file: Path = COSTS) -> "Costs":
        """What `benchmarks.costs` wrote."""
        found = json.loads(file.read_text())
        job = found["per_job"]
        return cls(
            gateway_s=job["gateway.cpu_s"],
            ml_s=job["ml_worker.cpu_s"],
            fusion_s=job["fusion.cpu_s"],
            reaper_s=job["reaper.cpu_s"],
            ledger_s=job["ledger.cpu_s"],
            broker_s=job["broker.cpu_s"],
            fsync_s=found["fsync_ms"] / 1000,
            ledger_commands=job["ledger.commands"],
            ledger_bytes=job["ledger.bytes_in"] + job["ledger.bytes_out"],
            broker_bytes=job["broker.bytes_in"] + job["broker.bytes_out"],
            blob_bytes=job["blobs.bytes"],
            blob_objects=job["blobs.objects"],
            image_bytes=found["image_bytes"],
            source=f"`{found['command']}` on {found['machine']}",
        )


@dataclass(frozen=True)
class Plan:
    """A house for `rate` jobs a second, made of `cells` that know nothing of each other."""

    rate: float
    #: Houses with a ledger, a broker and workers of their own.
    cells: int
    #: Cores in one cell.
    gateway: int
    ml: int
    fusion: int


def plan(rate: float, costs: Costs) -> Plan:
    """The smallest house in which nobody is busier than `_LOAD`."""
    busiest = max(costs.ledger_s, costs.broker_s)
    cells = math.ceil(rate * busiest / _LOAD)
    here = rate / cells
    cores = [
        math.ceil(here * cost / _LOAD)
        for cost in (costs.gateway_s, costs.ml_s, costs.fusion_s + costs.reaper_s)
    ]
    return Plan(rate, cells, *cores)


class Clock:
    """What happens next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Do it then."""
        heapq.heappush(self._coming, (when, next(self._numbers), do))

    def run(self) -> None:
        """Until nothing is left to happen."""
        while self._coming:
            self.now, _, do = heapq.heappop(self._coming)
            do()


class Cores:
    """So many that work on one job each, in order of arrival."""

    def __init__(self, clock: Clock, count: int, mean_s: float, draw: random.Random) -> None:
        self._clock, self._mean_s, self._draw = clock, mean_s, draw
        self._free_at = [0.0] * count

    def visit(self, then: Callable[[], None]) -> None:
        """Work on a job that has come now; then go on."""
        start = max(self._clock.now, heapq.heappop(self._free_at))
        done = start + self._draw.expovariate(1 / self._mean_s)
        heapq.heappush(self._free_at, done)
        self._clock.at(done, then)


class LedgerServer:
    """One thread that does all that has come, waits for the disk once, and then answers."""

    def __init__(self, clock: Clock, mean_s: float, fsync_s: float, draw: random.Random) -> None:
        self._clock, self._mean_s, self._fsync_s, self._draw = clock, mean_s, fsync_s, draw
        self._waiting: list[Callable[[], None]] = []
        self._busy = False

    def visit(self, then: Callable[[], None]) -> None:
        """One step of a job."""
        self._waiting.append(then)
        if not self._busy:
            self._begin()

    def _begin(self) -> None:
        together, self._waiting, self._busy = self._waiting, [], True
        work = sum(self._draw.expovariate(1 / self._mean_s) for _ in together)
        self._clock.at(self._clock.now + work + self._fsync_s, lambda: self._end(together))

    def _end(self, together: list[Callable[[], None]]) -> None:
        self._busy = False
        for then in together:
            then()
        if self._waiting and not self._busy:
            self._begin()


def simulate(house: Plan, costs: Costs, *, jobs: int = 10_000, seed: int = 1) -> list[float]:
    """How long each job took in one cell, from its submission to its stored result, in seconds."""
    clock, draw = Clock(), random.Random(seed)  # noqa: S311 - the same arrivals in every run
    ledger = LedgerServer(clock, costs.ledger_s / _LEDGER_STEPS, costs.fsync_s, draw)
    gateway = Cores(clock, house.gateway, costs.gateway_s, draw)
    ml = Cores(clock, house.ml, costs.ml_s, draw)
    # Admit and create; claim and conclude. Nobody waits for the reaper, who archives what is over.
    path = (ledger, gateway, ledger, ledger, ml, ledger)
    took: list[float] = []
    arrival = 0.0
    for _ in range(jobs):
        arrival += draw.expovariate(house.rate / house.cells)
        clock.at(arrival, _walk(path, clock, took, arrival))
    clock.run()
    return took


def _walk(path: tuple[Any, ...], clock: Clock, took: list[float], arrival: float) -> Callable[[], None]:
    def step(number: int) -> None:
        if number == len(path):
            took.append(clock.now - arrival)
        else:
            path[number].visit(lambda: step(number + 1))

    return lambda: step(0)


def table(costs: Costs) -> str:
    """The table of docs/scale.md, in Markdown, with what it rests on."""
    plans = [plan(rate, costs) for rate in RATES]
    rows = {"studies a second": [f"{rate:,}" for rate in RATES], "---": ["---:"] * len(RATES)}
    rows |= _sizes(plans, costs) | _streams(costs) | _times(plans, costs)
    lines = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    one = _LOAD / max(costs.ledger_s, costs.broker_s)
    return (
        "\n".join(lines)
        + f"\n\n{_notes(costs)}\n\n**One ledger carries {_round(one)} studies a second** {_AT_THAT_LOAD}\n"
    )


def _notes(costs: Costs) -> str:
    times = {
        "gateway": costs.gateway_s,
        "ML": costs.ml_s,
        "fusion and reaper": costs.fusion_s + costs.reaper_s,
        "ledger": costs.ledger_s,
        "broker": costs.broker_s,
    }
    said = ", ".join(f"{name} {_ms(seconds)}" for name, seconds in times.items())
    return (
        f"Costs of a job, a JPEG of {costs.image_bytes:,.0f} bytes: {costs.source}. Processor time there: {said}; "
        f"a durable write takes {_ms(costs.fsync_s)}. Nobody is planned busier than {_LOAD:.0%}; Gemini is taken to "
        f"answer in {_GEMINI_S:g} s."
    )


def _sizes(plans: list[Plan], costs: Costs) -> dict[str, list[str]]:
    return {
        "cells, each with a ledger and a broker": [f"{one.cells:,}" for one in plans],
        "cores: ML": [f"{one.cells * one.ml:,}" for one in plans],
        "cores: gateway": [f"{one.cells * one.gateway:,}" for one in plans],
        "cores: fusion, reaper": [f"{one.cells * one.fusion:,}" for one in plans],
        "each ledger is busy": [f"{one.rate / one.cells * costs.ledger_s:.0%}" for one in plans],
        "each broker is busy": [f"{one.rate / one.cells * costs.broker_s:.0%}" for one in plans],
    }


def _streams(costs: Costs) -> dict[str, list[str]]:
    def each(value: Callable[[int], str]) -> list[str]:
        return [value(rate) for rate in RATES]

    month = costs.blob_bytes * _DAY_S * _MONTH_DAYS
    return {
        "Redis commands a second": each(lambda rate: _round(rate * costs.ledger_commands)),
        "to and from ledgers, MB/s": each(lambda rate: _round(rate * costs.ledger_bytes / 1e6)),
        "to and from brokers, MB/s": each(lambda rate: _round(rate * costs.broker_bytes / 1e6)),
        "images from clients, MB/s": each(lambda rate: _round(rate * costs.image_bytes / 1e6)),
        "into the blob store, MB/s": each(lambda rate: _round(rate * costs.blob_bytes / 1e6)),
        "blobs after 30 days, TB": each(lambda rate: _round(rate * month / 1e12)),
        "objects after 30 days, millions": each(
            lambda rate: _round(rate * costs.blob_objects * _DAY_S * _MONTH_DAYS / 1e6)
        ),
        "Gemini requests a minute": each(lambda rate: f"{rate * 60:,}"),
        "Gemini calls at once": each(lambda rate: f"{rate * _GEMINI_S:,.0f}"),
    }


def _times(plans: list[Plan], costs: Costs) -> dict[str, list[str]]:
    p50, p99 = [], []
    for one in plans:
        cut = statistics.quantiles(simulate(one, costs), n=100)
        p50.append(f"{cut[49] * 1000:.0f}")
        p99.append(f"{cut[98] * 1000:.0f}")
    return {"simulated: submission to result without Gemini, p50 ms": p50, "simulated: p99 ms": p99}


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2g} ms"


def _round(value: float) -> str:
    """Two digits that count."""
    return f"{float(f'{value:.2g}'):,g}"


def in_page(text: str, made: str) -> str:
    """The page with the table in its place."""
    before, _, rest = text.partition(_BEGIN)
    return f"{before}{_BEGIN}{made}{_END}{rest.partition(_END)[2]}"


def main() -> int:
    """Print the table, or put it into the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/scale.md")
    made = table(Costs.load())
    if parser.parse_args().write:
        PAGE.write_text(in_page(PAGE.read_text(), made))
    sys.stdout.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
