"""A long run at half load, in which nothing is broken: does anything grow?

Half load is half of the rate at which this machine saturates, measured at the start.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedded.layout import SERVICES
from shared.contracts import JobView
from shared.names import Blob
from tests.chaos.arena import Arena
from tests.chaos.audit import Audit, Auditor
from tests.chaos.client import Client
from tests.chaos.processes import Held, held
from tests.support.valkey import Server

_MIB = 1 << 20
#: The first part warms caches and pools; growth is judged on the rest.
_WARM_SHARE = 0.2
_AS_FAST_AS_POSSIBLE = 1e6


@dataclass(frozen=True)
class SoakOptions:
    """What to run."""

    minutes: float
    seed: int
    #: Of the rate at which the cluster saturates.
    load: float = 0.5
    #: Jobs with which that rate is measured.
    calibration_jobs: int = 400
    samples: int = 300


@dataclass(frozen=True)
class Slope:
    """A straight line through samples, by least squares."""

    per_hour: float
    #: Of `per_hour`.
    standard_error: float
    first: float
    last: float

    @classmethod
    def through(cls, at_s: Sequence[float], values: Sequence[float]) -> "Slope":
        """Fit `values` over times in seconds; at least three of them."""
        line, covariance = np.polyfit(np.asarray(at_s) / 3600, np.asarray(values), 1, cov="unscaled")
        spread = np.asarray(values) - np.polyval(line, np.asarray(at_s) / 3600)
        variance = float(spread @ spread) / (len(values) - 2)
        error = float(np.sqrt(covariance[0][0] * variance))
        return cls(round(float(line[0]), 3), round(error, 3), values[0], values[-1])


@dataclass(frozen=True)
class Used:
    """What a server holds."""

    bytes: int
    keys: int


@dataclass
class SoakReport:
    """What grew, and what was left."""

    minutes: float
    jobs: int
    saturated_per_s: float
    #: By process: resident MiB and open descriptors over time, after the warm-up.
    resident_mib: dict[str, Slope]
    descriptors: dict[str, Slope]
    #: Redis memory that one finished job takes while it is cached.
    cached_bytes_a_job: float
    #: Ledger memory before the first and after the last job was forgotten.
    ledger_bytes: tuple[int, int]
    broker_bytes: tuple[int, int]
    audit: Audit

    @property
    def violations(self) -> list[str]:
        """What must not be."""
        return self.audit.violations

    def text(self) -> str:
        """For a person."""
        grown = [
            f"{name:14} {what:12} {slope.per_hour:+10.2f} an hour, standard error {slope.standard_error:.2f} "
            f"({slope.first:.1f} -> {slope.last:.1f})"
            for what, slopes in (("resident MiB", self.resident_mib), ("descriptors", self.descriptors))
            for name, slope in sorted(slopes.items())
        ]
        lines = [
            f"{self.jobs} jobs in {self.minutes:.1f} minutes; saturated at {self.saturated_per_s:.1f} jobs/s",
            *grown,
            f"ledger: {self.cached_bytes_a_job:.0f} bytes for each finished job in its cache",
            f"ledger: {self.ledger_bytes[0]} bytes before, {self.ledger_bytes[1]} after all were forgotten",
            f"broker: {self.broker_bytes[0]} bytes before, {self.broker_bytes[1]} after",
            *(f"VIOLATION {line}" for line in self.violations),
        ]
        return "\n".join(lines) + "\n"

    def save(self, folder: Path) -> Path:
        """Write text and JSON; the path of the text."""
        folder.mkdir(parents=True, exist_ok=True)
        slopes = {
            what: {name: asdict(slope) for name, slope in found.items()}
            for what, found in (("resident_mib", self.resident_mib), ("descriptors", self.descriptors))
        }
        found: dict[str, Any] = vars(self) | {"audit": self.violations} | slopes
        (folder / "soak.json").write_text(json.dumps(found, indent=1) + "\n")
        (folder / "soak.txt").write_text(self.text())
        return folder / "soak.txt"


def soak(options: SoakOptions) -> SoakReport:
    """Run, and report. The cluster is gone when this returns."""
    with Arena(seed=options.seed) as arena:
        return asyncio.run(_Soak(arena, options).run())


class _Soak:
    def __init__(self, arena: Arena, options: SoakOptions) -> None:
        self._arena = arena
        self._options = options
        self._client = Client(lambda: arena.cluster.url, arena.cluster.http.headers, seed=options.seed)
        self._samples: dict[str, list[tuple[float, Held]]] = defaultdict(list)

    async def run(self) -> SoakReport:
        rate = await self._saturated()
        before = self._used()
        jobs_before = len(self._client.record.jobs)
        end = time.monotonic() + self._options.minutes * 60
        watch = asyncio.create_task(self._watch(end))
        await self._client.drive(0, rate=rate * self._options.load, until=lambda: time.monotonic() > end)
        await watch
        cached = self._used()
        jobs = len(self._client.record.jobs) - jobs_before
        audit = await Auditor(self._arena, self._client).look()
        after = self._used()
        return SoakReport(
            minutes=self._options.minutes,
            jobs=jobs,
            saturated_per_s=rate,
            resident_mib=self._slopes(lambda sample: sample.resident_bytes / _MIB),
            descriptors=self._slopes(lambda sample: float(sample.descriptors)),
            cached_bytes_a_job=_bytes_a_job(after["ledger"], cached["ledger"]),
            ledger_bytes=(before["ledger"].bytes, after["ledger"].bytes),
            broker_bytes=(before["broker"].bytes, after["broker"].bytes),
            audit=audit,
        )

    async def _saturated(self) -> float:
        """Jobs a second when many are there at once, by the ledger's clock; the client is part of the load."""
        jobs = self._options.calibration_jobs
        await self._client.drive(jobs, rate=_AS_FAST_AS_POSSIBLE, until=lambda: True, at_most=jobs)
        records = self._arena.cluster.blobs.rglob(f"*.{Blob.RECORD}")
        ended = [JobView.model_validate_json(record.read_bytes()) for record in records]
        last = max(job.ended_at for job in ended if job.ended_at)
        return len(ended) / (last - min(job.created_at for job in ended)).total_seconds()

    async def _watch(self, end: float) -> None:
        start = time.monotonic()
        pause = (end - start) / self._options.samples
        while (now := time.monotonic()) < end:
            for name, pid in self._processes():
                if (found := held(pid)) is not None:
                    self._samples[name].append((now - start, found))
            await asyncio.sleep(pause)

    def _processes(self) -> Iterator[tuple[str, int]]:
        for service in SERVICES:
            for place, pid in enumerate(self._arena.processes(service)):
                yield f"{service}{f' child {place}' if place else ''}", pid
        yield "ledger", self._arena.cluster.ledger_server.pid
        yield "broker", self._arena.cluster.broker_server.pid

    def _slopes(self, value: Callable[[Held], float]) -> dict[str, Slope]:
        slopes = {}
        for name, samples in self._samples.items():
            warm = samples[int(len(samples) * _WARM_SHARE) :]
            slopes[name] = Slope.through([at for at, _ in warm], [value(found) for _, found in warm])
        return slopes

    def _used(self) -> dict[str, Used]:
        servers = {"ledger": self._arena.cluster.ledger_server, "broker": self._arena.cluster.broker_server}
        return {name: _used(server) for name, server in servers.items()}


def _used(server: Server) -> Used:
    with server.client() as client:
        return Used(int(client.info("memory")["used_memory"]), client.dbsize())


def _bytes_a_job(empty: Used, full: Used) -> float:
    keys = full.keys - empty.keys
    return round((full.bytes - empty.bytes) / keys, 1) if keys > 0 else 0.0
