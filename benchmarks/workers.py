"""How throughput grows with ML workers on one machine: `python -m benchmarks.workers`.

As `docker compose up --scale ml_worker=N` and as `MEDISCAN_ML_CONCURRENCY=N`: the whole cluster with so many worker
processes of one child, or one of so many children, over a backlog that is there already. Jobs a second from the moment
that the workers may begin until the last result is stored, in turns, so that what else runs here harms all alike.
"""

import argparse
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from shared.names import Key
from tests.support.cluster import Cluster
from tests.support.images import photo
from tests.support.waiting import wait_until

_SERVICES = ("gateway", "fusion", "reaper")
_CLIENTS = 8


@contextmanager
def _cluster(processes: int, children: int) -> Iterator[tuple[Cluster, list[str]]]:
    names = [f"ml_worker@{number}" for number in range(processes)]
    house = {"MAX_LIVE_JOBS": "100000", "MAX_LIVE_JOBS_PER_TENANT_SHARE": "1", "REPUBLISH_AFTER_S": "600"}
    with Cluster(services=(*_SERVICES, *names), ML_CONCURRENCY=str(children), **house) as cluster:
        yield cluster, names


def _rate(processes: int, children: int, jobs: int) -> float:
    image = photo(512)
    with _cluster(processes, children) as (cluster, workers):
        _run(cluster, workers, image, 20 * processes * children)  # models loaded, caches warm
        return jobs / _run(cluster, workers, image, jobs)


def _run(cluster: Cluster, workers: list[str], image: bytes, jobs: int) -> float:
    for name in workers:
        for pid in (cluster.pid(name), *cluster.children(name)):
            os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(_CLIENTS) as clients:
        list(clients.map(lambda _: cluster.submit(image), range(jobs)))
    began = time.monotonic()
    for name in workers:
        for pid in (*cluster.children(name), cluster.pid(name)):
            os.kill(pid, signal.SIGCONT)
    with cluster.ledger_server.client() as client:
        wait_until(lambda: not client.exists(Key.LIVE), timeout_s=600, what="all have ended")
    return time.monotonic() - began


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4])
    arguments = parser.parse_args()
    setups = [(n, 1) for n in arguments.counts] + [(1, n) for n in arguments.counts if n > 1]
    found: dict[tuple[int, int], list[float]] = {setup: [] for setup in setups}
    for _ in range(arguments.rounds):
        for setup in setups:
            found[setup].append(_rate(setup[0], setup[1], arguments.jobs))
            sys.stdout.write(
                f"load average {os.getloadavg()[0]:.1f}: {setup}: {found[setup][-1]:.0f} jobs/s\n"
            )
            sys.stdout.flush()
    one = statistics.median(found[1, 1])
    sys.stdout.write("\n| ML workers | children of each | jobs a second | against one |\n|---|---|---|---|\n")
    for (processes, children), rates in found.items():
        rate = statistics.median(rates)
        sys.stdout.write(f"| {processes} | {children} | {rate:.0f} | {rate / one:.2f} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
