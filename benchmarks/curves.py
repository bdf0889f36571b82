"""What a job costs as something grows: the backlog, the stored jobs, the image, the requests that wait.

In processor time of all our processes a job, which other load on the machine hardly touches.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import redis
from PIL import Image

from benchmarks.drawn import pictures
from benchmarks.http_client import Connection, request
from benchmarks.load import Meter, saturate
from benchmarks.ours import MediScan
from shared.contracts import ImageFacts, SkippedReading, UnavailableReason
from shared.ledger import Ledger, NewJob
from shared.names import DEFAULT_TENANT, Blob, JobRef, Priority, Stage, blob_path, new_job_id
from shared.queue import make_celery, publish
from shared.settings import Settings
from tests.support.waiting import wait_until

#: Jobs that are watched while they are worked off, at each depth, and those before them while the workers get going.
_WATCHED, _AGAIN = 200, 40
_FILLERS = 4
#: A file may have no more names than about this many on common file systems.
_MOST_LINKS = 30_000
_PATIENCE_S, _LONG_S = 120.0, 600.0


@dataclass(frozen=True)
class Point:
    """One measurement: so much of it, and the processor time a job in µs by role."""

    size: int
    cpu_us: dict[str, float]

    @property
    def total_us(self) -> float:
        """Of our processes, without the client."""
        return sum(value for role, value in self.cpu_us.items() if role != "client")


def image_size(sides: Sequence[int], jobs: int) -> list[Point]:
    """JPEGs of `sides` px."""
    with MediScan() as cluster:
        saturate(cluster, pictures(2), 16)
        return [Point(side, saturate(cluster, pictures(2, side), jobs).cpu_us) for side in sides]


def backlog(depths: Sequence[int]) -> list[Point]:
    """Jobs queued before the ones that are watched begin to be worked off."""
    picture = pictures(1)[0]
    with MediScan() as cluster:
        saturate(cluster, [picture], 16)
        filler, points, queued = _Filler(cluster, picture), [], 0
        for depth in depths:
            with cluster.stopped("ml_worker"):
                filler.fill(depth - queued + _AGAIN)
            # What stood still over its time limit is ended when it goes on: only then are the processes those to watch.
            filler.worked_off(_AGAIN)
            meter = Meter(cluster)
            points.append(Point(depth, meter.per_job_us(filler.worked_off(_WATCHED))))
            queued = filler.live()
        return points


def stored(counts: Sequence[int], jobs: int) -> list[Point]:
    """Finished jobs in the blob store's folder of this hour, beside those that are submitted and read."""
    picture = pictures(1)[0]
    with MediScan() as cluster:
        saturate(cluster, [picture], 16)
        points, there = [], 0
        for count in counts:
            _store(cluster.folder / "blobs", count - there)
            there = count
            points.append(Point(count, saturate(cluster, [picture], jobs).cpu_us))
        return points


def waiters(counts: Sequence[int], jobs: int) -> list[Point]:
    """Requests that wait for jobs which nobody works on, beside those that are submitted and read."""
    most = max(counts)
    picture = pictures(1)[0]
    room = str(most + 50)
    # Jobs without a message, and the reaper is in no hurry to publish one.
    with MediScan(MAX_WAITS=room, MAX_WAITS_PER_TENANT=room, REPUBLISH_AFTER_S=str(_LONG_S)) as cluster:
        saturate(cluster, [picture], 16)
        filler = _Filler(cluster, picture, republish_after_s=_LONG_S)
        return [Point(count, asyncio.run(_beside(cluster, filler, count, jobs))) for count in counts]


async def _beside(cluster: MediScan, filler: "_Filler", count: int, jobs: int) -> dict[str, float]:
    waiting = [Connection("127.0.0.1", cluster.port) for _ in range(count)]
    asked = [
        asyncio.ensure_future(one.ask(request("GET", f"/v1/jobs/{filler.unpublished().job_id}?wait=60")))
        for one in waiting
    ]
    await asyncio.to_thread(wait_until, lambda: filler.watched() >= count, what="all wait")
    found = await asyncio.to_thread(saturate, cluster, filler.images, jobs)
    for answer in asked:
        answer.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    for one in waiting:
        one.close()
    return found.cpu_us


class _Filler:
    """Records jobs in the ledger directly: what a hundred thousand uploads would leave, sooner."""

    def __init__(self, cluster: MediScan, picture: bytes, **settings: Any) -> None:
        self.images = [picture]
        self._socket = str(cluster.socket("ledger"))
        self._settings = Settings(
            redis_url=f"unix://{cluster.socket('ledger')}",
            broker_url=f"redis+socket://{cluster.socket('broker')}",
            **settings,
        )
        self._ledger = Ledger.open(self._settings, patience_s=10)
        self._queue = make_celery(self._settings)
        self._blobs = cluster.folder / "blobs"
        self._new = NewJob(
            image=facts(picture),
            priority=Priority.ROUTINE,
            metadata={},
            gemini_skipped=SkippedReading(reason=UnavailableReason.NOT_CONFIGURED),
        )
        self._source = Path(cluster.folder / "picture")
        self._links = 0

    def fill(self, count: int) -> None:
        """So many more jobs, each with its image and its message; an fsync each is for those that are measured."""
        with self._sparing_fsync(), ThreadPoolExecutor(_FILLERS) as pool:
            for _ in pool.map(lambda _: self._queued(), range(count)):
                pass

    @contextmanager
    def _sparing_fsync(self) -> Iterator[None]:
        with redis.Redis(unix_socket_path=self._socket) as client:
            client.config_set("appendfsync", "everysec")
            try:
                yield
            finally:
                client.config_set("appendfsync", "always")

    def watched(self) -> int:
        """Jobs that the gateway is told of: somebody waits for each."""
        with redis.Redis(unix_socket_path=self._socket) as client:
            return len(client.pubsub_channels())

    def live(self) -> int:
        """Jobs that are not over."""
        return sum(self._ledger.live_jobs().values())

    def worked_off(self, enough: int) -> int:
        """Wait until so many more jobs are over, or all; how many are. AssertionError where it takes too long."""
        before = self.live()

        def done() -> int:
            over = before - self.live()
            return over if over >= min(enough, before) else 0

        return wait_until(done, timeout_s=_PATIENCE_S, what=f"{enough} jobs are worked off")

    def unpublished(self) -> JobRef:
        """A job in the ledger that nobody was told of."""
        ref = self._imaged()
        self._ledger.create(ref, self._new)
        return ref

    def _queued(self) -> None:
        publish(self._queue, self.unpublished(), Stage.ML, Priority.ROUTINE)

    def _imaged(self) -> JobRef:
        ref = JobRef(DEFAULT_TENANT, new_job_id())
        path = self._blobs / blob_path(ref, Blob.IMAGE)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._links % _MOST_LINKS == 0:
            self._source = self._source.with_suffix(f".{self._links}")
            self._source.write_bytes(self.images[0])
        self._links += 1
        os.link(self._source, path)
        return ref


def facts(picture: bytes) -> ImageFacts:
    """What the gateway would have found out."""
    width, height = Image.open(BytesIO(picture)).size
    digest = hashlib.sha256(picture).hexdigest()
    return ImageFacts(
        media_type="image/jpeg", sha256=digest, size_bytes=len(picture), width=width, height=height
    )


def _store(blobs: Path, count: int) -> None:
    """So many more finished jobs: an object each, under names as ours are."""
    source = blobs.parent / "record"
    for at in range(count):
        if at % _MOST_LINKS == 0:
            source = source.with_suffix(f".{at}.{time.monotonic_ns()}")
            source.write_bytes(b"{}" * 1000)
        path = blobs / blob_path(JobRef(DEFAULT_TENANT, new_job_id()), Blob.RECORD)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, path)
