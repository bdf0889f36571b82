"""More work than the workers do, for minutes: who is refused, what fills up, who goes first, and does it all end?"""

import asyncio
import json
import statistics
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.names import Key, Priority
from tests.chaos.arena import Arena
from tests.chaos.audit import Audit, Auditor
from tests.chaos.client import Client, Followed

_AS_FAST_AS_POSSIBLE = 1e6
_LOOK_S = 0.5
#: As the compose file gives it.
_LEDGER_BYTES = 512 << 20


@dataclass(frozen=True)
class BacklogOptions:
    """What to run."""

    minutes: float
    seed: int
    #: Unfinished jobs that the house takes; half of them from the one tenant there is. Few, for the client shares the
    #: workers' processors: on a busy machine it can be ahead of them by a hundred or so.
    live: int = 100


@dataclass
class BacklogReport:
    """What came of it."""

    minutes: float
    accepted: int
    #: Answers to the client, by status.
    answers: dict[str, int]
    #: Most jobs that were not over at once, and the most that may be.
    deepest: int
    most: int
    #: Highest part of its memory that the ledger used.
    ledger_memory: float
    republished: int
    #: Median seconds from submission to the end, by priority.
    median_s: dict[str, float]
    #: From the last submission until nothing was live.
    drained_s: float
    audit: Audit

    @property
    def violations(self) -> list[str]:
        """What must not be."""
        refused = sum(self.answers.get(status, 0) for status in ("429", "503"))
        checks = {
            "nobody was refused: there was no backlog": refused == 0,
            f"{self.deepest} jobs were live, {self.most} may be": self.deepest > self.most,
            f"the ledger used {self.ledger_memory:.0%} of its memory": self.ledger_memory > 0.8,
            f"{self.republished} messages of a healthy backlog were published again": self.republished
            > self.accepted / 100,
            "urgent jobs did not overtake": self.median_s[Priority.STAT] >= self.median_s[Priority.ROUTINE],
        }
        return [said for said, is_so in checks.items() if is_so] + self.audit.violations

    def text(self) -> str:
        """For a person."""
        said = asdict(self) | {"audit": ""}
        lines = [f"{name.replace('_', ' ')}: {value}" for name, value in said.items() if value != ""]
        return "\n".join([*lines, *(f"VIOLATION {line}" for line in self.violations)]) + "\n"

    def save(self, folder: Path) -> Path:
        """Write text and JSON; the path of the text."""
        folder.mkdir(parents=True, exist_ok=True)
        found = asdict(self) | {"audit": self.audit.violations, "violations": self.violations}
        (folder / "backlog.json").write_text(json.dumps(found, indent=1) + "\n")
        (folder / "backlog.txt").write_text(self.text())
        return folder / "backlog.txt"


def backlog(options: BacklogOptions) -> BacklogReport:
    """Run, and report. The cluster is gone when this returns."""
    settings = {"GEMINI_ENABLED": "false", "MAX_LIVE_JOBS": str(options.live), "JOB_DEADLINE_S": "3600"}
    with Arena(seed=options.seed, **settings) as arena:
        with arena.cluster.ledger_server.client() as client:
            client.config_set("maxmemory", _LEDGER_BYTES)
        return asyncio.run(_run(arena, options))


async def _run(arena: Arena, options: BacklogOptions) -> BacklogReport:
    client = Client(lambda: arena.cluster.url, arena.cluster.http.headers, seed=options.seed)
    republished = _republished(arena)
    end = time.monotonic() + options.minutes * 60
    watch = asyncio.create_task(_watch(arena))
    # Twice what the house takes from one tenant: those above it are refused, and come again as told.
    await client.drive(
        0, rate=_AS_FAST_AS_POSSIBLE, until=lambda: time.monotonic() > end, at_most=options.live
    )
    drained_s = time.monotonic() - end
    watch.cancel()
    deepest, memory = await watch
    jobs = client.record.jobs.values()
    return BacklogReport(
        minutes=options.minutes,
        accepted=len(jobs),
        answers=dict(client.record.answers),
        deepest=deepest,
        most=options.live // 2,
        ledger_memory=memory,
        republished=_republished(arena) - republished,
        median_s={priority.value: _median_s(list(jobs), priority) for priority in Priority},
        drained_s=round(drained_s, 1),
        audit=await Auditor(arena, client).look(),
    )


async def _watch(arena: Arena) -> tuple[int, float]:
    """Until it is cancelled: the most live jobs, and the highest part of the ledger's memory."""
    deepest, memory = 0, 0.0
    with arena.cluster.ledger_server.client() as client:
        while True:
            live = Counter({name: int(count) for name, count in client.hgetall(Key.LIVE).items()})
            deepest = max(deepest, *live.values(), 0)
            memory = max(memory, int(client.info("memory")["used_memory"]) / _LEDGER_BYTES)
            try:
                await asyncio.sleep(_LOOK_S)
            except asyncio.CancelledError:
                return deepest, round(memory, 4)


def _republished(arena: Arena) -> int:
    return sum(count for name, count in arena.counters().items() if name.startswith("republished:"))


def _median_s(jobs: list[Followed], priority: Priority) -> float:
    took = [job.total_ms for job in jobs if job.priority == priority and job.total_ms is not None]
    return round(statistics.median(took) / 1000, 2) if took else 0.0
