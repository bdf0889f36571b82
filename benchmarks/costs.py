"""What one job costs each part of the house: `python -m benchmarks.costs --out benchmarks/costs.json`.

The real cluster on this machine takes some thousand jobs, each submitted, finished and fetched once; processor time,
Redis commands and bytes are divided by their number, less what the idle cluster uses meanwhile. Processor time, and not
the clock's, so that whatever else runs here changes little. `benchmarks/scale.py` reckons with the result.
"""

import argparse
import json
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import redis

from shared.names import Key
from tests.support.cluster import Cluster
from tests.support.images import photo
from tests.support.waiting import wait_until

_IDLE_S = 8.0
_CLIENTS = 8
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_SERVICES = ("gateway", "ml_worker", "fusion", "reaper")

Counts = dict[str, float]


def _cpu_s(pid: int) -> float:
    """Of a process and all below it, those that ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    below = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    return sum(map(int, fields[11:15])) * _TICK_S + sum(map(_cpu_s, below))


def _children(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def _server(name: str, pid: int, client: "redis.Redis") -> Counts:
    said = client.info("stats")
    return {
        f"{name}.cpu_s": _cpu_s(pid),
        f"{name}.commands": said["total_commands_processed"],
        f"{name}.bytes_in": said["total_net_input_bytes"],
        f"{name}.bytes_out": said["total_net_output_bytes"],
    }


def _counts(cluster: Cluster) -> Counts:
    found: Counts = {f"{name}.cpu_s": _cpu_s(cluster.pid(name)) for name in _SERVICES}
    for name, server in (("ledger", cluster.ledger_server), ("broker", cluster.broker_server)):
        with server.client() as client:
            found |= _server(name, server.pid, client)
    files = cluster.blob_files()
    found["blobs.bytes"] = sum(file.stat().st_size for file in files)
    found["blobs.objects"] = len(files)
    found["clock_s"] = time.monotonic()
    return found


def _difference(before: Counts, after: Counts) -> Counts:
    return {name: after[name] - before[name] for name in before}


def _work(cluster: Cluster, jobs: int, image: bytes) -> None:
    with ThreadPoolExecutor(_CLIENTS) as clients:
        ids = list(clients.map(lambda _: cluster.submit(image)["id"], range(jobs)))
        with cluster.ledger_server.client() as client:
            wait_until(lambda: not client.exists(Key.LIVE), timeout_s=300, what="all have ended")
        states = {job["state"] for job in clients.map(cluster.job, ids)}
    if states != {"completed"}:
        raise RuntimeError(f"jobs ended as {states}")


def _fsync_ms(cluster: Cluster) -> float:
    """A small write that waits for the disk, one at a time."""
    with cluster.ledger_server.client() as client:
        began = time.perf_counter()
        for _ in range(500):
            client.set("probe", "1")
        return (time.perf_counter() - began) * 2


def measure(jobs: int) -> dict[str, object]:
    """Per job, with the conditions."""
    image = photo(512)
    with Cluster(services=_SERVICES) as cluster:
        _work(cluster, 100, image)
        quiet = _counts(cluster)
        time.sleep(_IDLE_S)
        start = _counts(cluster)
        _work(cluster, jobs, image)
        busy = _difference(start, _counts(cluster))
        idle = _difference(quiet, start)
        fsync_ms = _fsync_ms(cluster)
    seconds = busy.pop("clock_s")
    per_job = {name: max(0.0, busy[name] - idle[name] / idle["clock_s"] * seconds) / jobs for name in busy}
    return {
        "command": f"python -m benchmarks.costs --jobs {jobs}",
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, load average {os.getloadavg()[0]:.1f}",
        "image_bytes": len(image),
        "jobs_per_s": round(jobs / seconds, 1),
        "fsync_ms": round(fsync_ms, 3),
        "per_job": {name: float(f"{value:.4g}") for name, value in sorted(per_job.items())},
    }


def main() -> int:
    """Run, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments.jobs), indent=2) + "\n"
    sys.stdout.write(text)
    if arguments.out:
        arguments.out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
