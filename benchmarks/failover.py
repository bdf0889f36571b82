"""What a ledger that sentinels name costs, and for how long it takes no jobs when its primary dies.

`python -m benchmarks.failover`: a primary, two replicas and three sentinels on loopback. Jobs are recorded one after
another, with no, one and both replicas confirming each; then the primary is killed under such a writer, time and again.
"""

import argparse
import os
import statistics
import sys
import time
from contextlib import closing

from benchmarks.say import say
from shared.errors import UnavailableError
from shared.ledger import Ledger
from shared.settings import Settings
from tests.support.samples import new_job, new_ref
from tests.support.sentinels import DOWN_AFTER_MS, SentinelLedger
from tests.support.waiting import wait_until


def _open(house: SentinelLedger, replicas: int) -> Ledger:
    settings = Settings(
        redis_url=house.url,
        broker_url="redis://nobody",
        redis_replicas=replicas,
    )
    return Ledger.open(settings, patience_s=0.2)


def _create_ms(house: SentinelLedger, replicas: int, jobs: int) -> list[float]:
    took = []
    with closing(_open(house, replicas)) as ledger:
        ledger.create(new_ref(), new_job())
        for _ in range(jobs):
            began = time.perf_counter()
            ledger.create(new_ref(), new_job())
            took.append((time.perf_counter() - began) * 1000)
    return took


def _outage_s(house: SentinelLedger) -> float:
    """From the primary's death to the next job that is recorded."""
    with closing(_open(house, 1)) as ledger:
        ledger.create(new_ref(), new_job())
        old = house.primary
        old.stop(kill=True)
        began = time.monotonic()
        wait_until(lambda: _recorded(ledger), timeout_s=120, what="jobs are recorded again")
        outage = time.monotonic() - began
    old.start()
    wait_until(lambda: len(house.replicas) == 2, timeout_s=60, what="the old primary is back")  # noqa: PLR2004
    house.wait_whole()
    return outage


def _recorded(ledger: Ledger) -> bool:
    try:
        ledger.create(new_ref(), new_job())
    except UnavailableError:
        return False
    return True


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.failover", description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--failovers", type=int, default=5)
    arguments = parser.parse_args()
    house = SentinelLedger()
    try:
        house.start()
        for replicas in (0, 1, 2):
            cut = statistics.quantiles(_create_ms(house, replicas, arguments.jobs), n=100)
            say(
                f"{replicas} replicas confirm: a job is recorded in p50 {cut[49]:.2f} ms, p99 {cut[98]:.2f} ms"
            )
        outages = [_outage_s(house) for _ in range(arguments.failovers)]
        said = ", ".join(f"{outage:.1f}" for outage in outages)
        say(f"no job is recorded for {said} s; dead after {DOWN_AFTER_MS / 1000:g} s of silence")
    finally:
        house.remove()
    say(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
