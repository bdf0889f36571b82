"""What a list costs a tenant with many finished jobs: `make lists`.

One real gateway; 100,000 finished jobs in the blob store, an image, a preview and a record each, and none in the
ledger: spread over thirty days, or all of one hour. Reports how long a page takes, and what the ledger holds.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.say import say
from shared.names import DEFAULT_TENANT, Blob, JobRef, blob_path, first_job_id
from tests.integration.gateway.process import House
from tests.support.memory import resident
from tests.support.stored_jobs import finished

_DAYS_S = 30 * 86_400.0
_HOUR_S = 3_600.0
_MIB = 1 << 20
_PAGES = 100
#: One in so many needs review; the search that finds few.
_RARE = 500


def _store(house: House, jobs: int, over_s: float) -> None:
    # The files alone, without waiting for the disk: it is the reading that is measured.
    first = time.time() // _HOUR_S * _HOUR_S - over_s
    blobs = house.folder / "blobs"
    for number in range(jobs):
        at = first + over_s * number / jobs
        ref = JobRef(DEFAULT_TENANT, first_job_id(at)[:16] + f"{number:020x}")
        job = finished(ref, at, "completed", needs_review=number % _RARE == 0)
        _write(blobs / blob_path(ref, Blob.RECORD), job.model_dump_json().encode())
        _write(blobs / blob_path(ref, Blob.IMAGE), b"")
        _write(blobs / blob_path(ref, Blob.PREVIEW), b"")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _pages(house: House, **asked: Any) -> Iterator[tuple[float, int]]:
    """Seconds and jobs of each page."""
    while True:
        began = time.perf_counter()
        page = house.http.get("/v1/jobs", params=asked, timeout=60).raise_for_status().json()
        yield time.perf_counter() - began, len(page["items"])
        if page["next_cursor"] is None:
            return
        asked["cursor"] = page["next_cursor"]


def _report(what: str, pages: Iterator[tuple[float, int]], most: int) -> None:
    found = [page for page, _ in zip(pages, range(most), strict=False)]
    took = sorted(seconds for seconds, _ in found)
    say(
        f"{what}: {len(found)} requests, {sum(jobs for _, jobs in found)} jobs; a request takes"
        f" {1000 * statistics.median(took):.0f} ms (median), {1000 * took[-1]:.0f} ms (longest)"
    )


def _measure(house: House, jobs: int) -> None:
    before = resident(house.process.pid)
    _report(f"the newest {_PAGES} pages of 50", _pages(house, limit=50), _PAGES)
    _report("all that needs review", _pages(house, limit=50, needs_review="true"), jobs)
    _report("one hour in the middle", _pages(house, limit=50, **_middle(house)), jobs)
    with house.ledger_server.client() as client:
        keys = client.keys("*")
        say(f"the ledger holds {len(keys)} keys; none is of a job: {not house.jobs()}")
    say(f"the gateway's memory: {(resident(house.process.pid) - before) / _MIB:+.0f} MiB")


def _middle(house: House) -> dict[str, str]:
    hours = sorted(path.name for path in (house.folder / "blobs" / DEFAULT_TENANT).iterdir())
    hour = hours[len(hours) // 2]
    day = f"{hour[:4]}-{hour[4:6]}-{hour[6:8]}T{hour[8:]}"
    return {"since": f"{day}:00:00Z", "until": f"{day}:59:59.999Z"}


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.job_list", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--over", choices=["month", "hour"], default="month")
    arguments = parser.parse_args()
    over_s = {"month": _DAYS_S, "hour": _HOUR_S}[arguments.over]
    with House(retention_s=2 * _DAYS_S) as house:
        _store(house, arguments.jobs, over_s)
        say(f"{arguments.jobs} finished jobs, all of one {arguments.over}")
        _measure(house, arguments.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
