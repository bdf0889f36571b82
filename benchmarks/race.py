"""MediScan and its peers in turns: the same images through each, in rounds, so that noise meets all alike."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks import processes
from benchmarks.load import Idle, Saturated, idle, saturate
from benchmarks.subject import CannotStartError, Subject

#: Jobs before anything is measured: caches fill, pools open.
_WARM_UP = 24


@dataclass(frozen=True)
class Plan:
    """How much is asked of each."""

    rounds: int
    #: Of one burst: for whom takes hundreds a second, and for Keras.
    jobs: int
    slow_jobs: int
    idle_jobs: int

    def burst(self, name: str) -> int:
        """Jobs of one burst."""
        return self.slow_jobs if "Keras" in name else self.jobs


@dataclass
class Entrant:
    """What was measured of one system over all rounds."""

    name: str
    promise: str
    bursts: list[Saturated] = field(default_factory=list)
    alone: list[Idle] = field(default_factory=list)
    resident_mib: list[float] = field(default_factory=list)
    largest_mib: dict[str, float] = field(default_factory=dict)
    #: Why rounds of it came to nothing.
    broke: list[str] = field(default_factory=list)

    @property
    def absent(self) -> str:
        """Why it is not there; empty where a round was measured."""
        return self.broke[-1] if self.broke and not self.bursts else ""

    @property
    def per_s(self) -> float:
        """Median over rounds; 0 where nothing was measured."""
        return statistics.median(burst.per_s for burst in self.bursts) if self.bursts else 0.0

    @property
    def spread(self) -> tuple[float, float]:
        """Slowest and fastest round."""
        rates = [burst.per_s for burst in self.bursts] or [0.0]
        return min(rates), max(rates)

    @property
    def cpu_us(self) -> float:
        """Processor time a job at saturation, of all its processes and the client; median over rounds."""
        return statistics.median(sum(burst.cpu_us.values()) for burst in self.bursts) if self.bursts else 0.0

    @property
    def latencies_ms(self) -> list[float]:
        """Of all rounds, sorted."""
        return sorted(ms for one in self.alone for ms in one.latencies_ms)

    def quantile_ms(self, share: float) -> float:
        """Of the idle latencies."""
        found = self.latencies_ms
        return found[min(len(found) - 1, int(share * len(found)))] if found else 0.0

    @property
    def resident(self) -> float:
        """Proportional memory of all its processes after a burst, in MiB; median over rounds."""
        return statistics.median(self.resident_mib) if self.resident_mib else 0.0


def race(
    kinds: Sequence[type[Subject]], images: Sequence[bytes], plan: Plan, say: Callable[[str], None]
) -> list[Entrant]:
    """Run all rounds; who cannot start or breaks down in a round has the reason in its place."""
    entrants = [Entrant(kind.name, kind.promise) for kind in kinds]
    for number, (kind, entrant) in _turns(kinds, entrants, plan.rounds):
        try:
            _turn(kind, entrant, images, plan)
        except (CannotStartError, RuntimeError, OSError, EOFError) as error:
            entrant.broke.append(f"{type(error).__name__}: {error}"[:400])
            say(f"round {number}: {entrant.name}: {entrant.broke[-1]}")
        else:
            last = entrant.bursts[-1]
            say(
                f"round {number}: {entrant.name}: {last.per_s:.0f} jobs/s, {last.cpu_us_total:.0f} us of "
                f"processor a job, idle p50 {statistics.median(entrant.alone[-1].latencies_ms):.1f} ms, "
                f"load {last.load:.1f}"
            )
    return entrants


def _turns(
    kinds: Sequence[type[Subject]], entrants: Sequence[Entrant], rounds: int
) -> Iterator[tuple[int, tuple[type[Subject], Entrant]]]:
    """Every other round the other way round: what drifts meets first and last alike."""
    pairs = list(zip(kinds, entrants, strict=True))
    for number in range(1, rounds + 1):
        yield from ((number, pair) for pair in (pairs if number % 2 else pairs[::-1]))


def _turn(kind: type[Subject], entrant: Entrant, images: Sequence[bytes], plan: Plan) -> None:
    with kind() as subject:
        saturate(subject, images, _WARM_UP)
        burst = saturate(subject, images, plan.burst(kind.name))
        alone = idle(subject, images, plan.idle_jobs)
        entrant.bursts.append(burst)
        entrant.alone.append(alone)
        memory = {pid: processes.private_mib(pid) for pid in subject.pids()}
        entrant.resident_mib.append(sum(memory.values()))
        for pid, role in subject.pids().items():
            entrant.largest_mib[role] = max(entrant.largest_mib.get(role, 0.0), processes.resident_mib(pid))
