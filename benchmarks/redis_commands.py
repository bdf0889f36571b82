"""How many commands a job costs at each server, as the servers themselves count."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from benchmarks.ours import MediScan

Counts = dict[str, dict[str, float]]


@contextmanager
def counted(cluster: MediScan, jobs: int) -> Iterator[Counts]:
    """Commands a job by server and command, over the block; what scripts run themselves is counted with them."""
    found: Counts = {}
    before = {role: _stats(cluster, role) for role in ("ledger", "broker")}
    yield found
    for role, earlier in before.items():
        later = _stats(cluster, role)
        found[role] = {
            name: (calls - earlier.get(name, 0)) / jobs
            for name, calls in sorted(later.items())
            if calls > earlier.get(name, 0)
        }


def _stats(cluster: MediScan, role: str) -> dict[str, int]:
    with redis.Redis(unix_socket_path=str(cluster.socket(role))) as client:
        stats = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): int(counts["calls"]) for name, counts in stats.items()}
