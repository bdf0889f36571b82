"""One run: cluster up, client and injector side by side, auditor, report."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.arena import Arena
from tests.chaos.audit import Auditor
from tests.chaos.client import Client
from tests.chaos.injector import Injector
from tests.chaos.report import Report
from tests.chaos.schedule import plan


@dataclass(frozen=True)
class Options:
    """What to run."""

    seed: int
    jobs: int
    faults: Sequence[str]
    #: Jobs submitted a second, at most.
    rate: float = 40.0
    #: Each fault once alone, before all of them mixed.
    has_alone: bool = False


def run(options: Options) -> Report:
    """Run and audit. The cluster is gone when this returns."""
    with Arena(seed=options.seed) as arena:
        return asyncio.run(_run(arena, options))


async def _run(arena: Arena, options: Options) -> Report:
    client = Client(lambda: arena.cluster.url, arena.cluster.http.headers, seed=options.seed)
    planned = plan(options.seed, options.jobs, options.faults, has_alone=options.has_alone)
    injector = Injector(arena, planned, lambda: len(client.record.jobs))
    start = time.monotonic()
    injector.start()
    await client.drive(options.jobs, rate=options.rate, until=lambda: injector.is_done)
    took = time.monotonic() - start
    audit = await Auditor(arena, client).look()
    return Report(
        seed=options.seed,
        jobs_asked=options.jobs,
        accepted=len(client.record.jobs),
        duration_s=took,
        answers=dict(client.record.answers),
        audit=audit,
        timeline=injector.timeline,
        counters=dict(arena.counters()),
        sigterm_s=arena.sigterm_s,
        ended_by_themselves=arena.ended_by_themselves,
        logs=arena.cluster.logs(),
        accepted_after_s=[job.accepted_after_s for job in client.record.jobs.values()],
    )
