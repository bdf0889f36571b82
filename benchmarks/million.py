"""What a million finished jobs cost: `python -m benchmarks.million`.

Results outlive the ledger as one JSON object a job in the blob store. This loads so many of them, as fusion writes them
but without an fsync each, spread over the hours of the retention and one day more; sends some thousand jobs through a
real ledger; and reports what the ledger's memory, the disk, reading through a real gateway, and the sweep say to that.
"""

import argparse
import os
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import redis

from benchmarks.say import say
from services.fusion.archive import archive
from services.fusion.retention import sweep
from shared.blob_store import BlobStore
from shared.ledger import Ledger
from shared.names import DEFAULT_TENANT, Blob, JobRef, Stage, blob_path
from shared.settings import Settings
from tests.integration.gateway.process import House
from tests.support.jobs import Jobs
from tests.support.samples import image_facts
from tests.support.waiting import wait_until

#: Beyond the retention, so that the sweep has something to take.
_EXPIRED_S = 86_400
#: So short that it is over while one looks.
_CACHE_S = 20.0
_MIB = 1 << 20


class Archive:
    """A blob store under load, and the ids of what is in it."""

    def __init__(self, settings: Settings, template: str, template_id: str) -> None:
        self._settings = settings
        self._blobs = BlobStore.open(settings.blob_url)
        self._template, self._template_id = template, template_id
        self._now = time.time()

    def fill(self, count: int) -> None:
        """Write so many finished jobs."""
        for ref in self.refs(count):
            record = self._template.replace(self._template_id, ref.job_id).encode()
            self._blobs.put(blob_path(ref, Blob.RECORD), record, durable=False)

    def refs(self, count: int) -> Iterator[JobRef]:
        """Evenly over the retention and the day before; the newest is two hours old."""
        newest = self._now - 7200
        span = self._settings.retention_s + _EXPIRED_S - 7200
        draw = random.Random(1)  # noqa: S311 - the same jobs in every run
        for number in range(count):
            at_ms = int((newest - span * number / count) * 1000)
            yield JobRef(DEFAULT_TENANT, f"job_{at_ms:012x}{draw.randbytes(10).hex()}")

    def kept(self, count: int, sample: int) -> list[JobRef]:
        """Some of those that the sweep leaves, drawn evenly."""
        oldest = self._now - self._settings.retention_s + 7200
        known = [ref for ref in self.refs(count) if int(ref.job_id[4:16], 16) / 1000 > oldest]
        return random.Random(2).sample(known, sample)  # noqa: S311


def _measure(house: House, settings: Settings, count: int, through: int) -> None:
    with house.ledger_server.client() as client:
        # What is kept of a finished job lives for the cache's time, the name of its image for the deadline's besides.
        short = settings.model_copy(update={"cache_ttl_s": _CACHE_S, "job_deadline_s": _CACHE_S})
        ledger = Ledger.open(short, patience_s=5)
        blobs, jobs = BlobStore.open(settings.blob_url), Jobs(ledger, client)
        first = _finish(jobs, ledger, blobs)
        _through_the_ledger(client, lambda: _finish(jobs, ledger, blobs), through)

        text = blobs.get(blob_path(first, Blob.RECORD)).decode()
        store = Archive(settings, text, first.job_id)
        began = time.monotonic()
        store.fill(count)
        say(f"{count:,} finished jobs written in {time.monotonic() - began:.0f} s, {len(text):,} bytes each")
        say(
            f"ledger: {_used(client) / _MIB:.2f} MiB and {client.dbsize()} keys with all of them in the store"
        )
        _disk(house.folder / "blobs", text)
        _read(house, store.kept(count, min(2000, count // 2)))
        for what in ("sweep of a day", "sweep with nothing to do"):
            began = time.monotonic()
            removed = sweep(ledger, blobs, settings, now=time.time())
            say(f"{what}: {removed:,} objects in {time.monotonic() - began:.2f} s")
        ledger.close()


def _through_the_ledger(client: "redis.Redis", finish: Callable[[], JobRef], through: int) -> None:
    before, most, began = _used(client), 0, time.monotonic()
    for _ in range(through):
        finish()
        most = max(most, _used(client))
    say(f"{through:,} jobs through the ledger, one after another: {time.monotonic() - began:.0f} s")
    wait_until(lambda: not [*client.scan_iter("mediscan:job:*", count=1000)], timeout_s=60)
    wait_until(lambda: not [*client.scan_iter("mediscan:alias:*", count=1000)], timeout_s=60)
    say(
        f"ledger: {before / _MIB:.2f} MiB before them, {most / _MIB:.2f} MiB at most, {_used(client) / _MIB:.2f} MiB "
        f"and {client.dbsize()} keys once their short copies were gone"
    )


def _finish(jobs: Jobs, ledger: Ledger, blobs: BlobStore) -> JobRef:
    ref = jobs.create(image=image_facts(sha256=secrets.token_hex(32)))
    for stage in (Stage.ML, Stage.GEMINI):
        jobs.settle(ref, stage)
    jobs.complete(ref)
    archive(jobs.record(ref), ledger, blobs)
    return ref


def _used(client: "redis.Redis") -> int:
    return int(client.info("memory")["used_memory"])


def _disk(folder: Path, text: str) -> None:
    some = [entry for _, entry in zip(range(1000), (folder / DEFAULT_TENANT).rglob("*.json"), strict=False)]
    blocks = statistics.mean(entry.stat().st_blocks * 512 for entry in some)
    say(f"disk: {blocks:,.0f} bytes a job in blocks and one inode, for {len(text):,} bytes of JSON")


def _read(house: House, refs: list[JobRef]) -> None:
    times = []
    with httpx.Client(base_url=house.url, timeout=30) as http:
        http.get(f"/v1/jobs/{refs[0].job_id}").raise_for_status()
        for ref in refs:
            began = time.perf_counter()
            answer = http.get(f"/v1/jobs/{ref.job_id}")
            times.append((time.perf_counter() - began) * 1000)
            if answer.json()["id"] != ref.job_id:
                raise RuntimeError(f"another job than {ref.job_id} came")
    cut = statistics.quantiles(times, n=100)
    say(f"GET of {len(refs):,} of them at random: p50 {cut[49]:.1f} ms, p99 {cut[98]:.1f} ms")


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--through", type=int, default=5_000, help="jobs sent through the real ledger")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="about 5 GB a million")  # noqa: S108
    arguments = parser.parse_args()
    tempfile.tempdir = str(arguments.folder)
    say(f"load average at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with House() as house:
        settings = Settings(
            redis_url=house.ledger_server.url, blob_url=house.environment["MEDISCAN_BLOB_URL"]
        )
        _measure(house, settings, arguments.jobs, arguments.through)
    say(f"load average at the end: {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
