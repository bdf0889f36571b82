"""Accounts for every job, blob, message and key once the cluster is left in peace."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import redis

from services.fusion.retention import sweep
from shared.blob_store import BlobStore
from shared.contracts import JobView
from shared.job_state import TERMINAL
from shared.job_view import view
from shared.names import DEFAULT_TENANT, Blob, Key, Stage
from tests.chaos import messages
from tests.chaos.arena import Arena
from tests.chaos.client import Client
from tests.support.waiting import wait_until

#: The ledger or the reaper may be away when a deadline passes.
_DEADLINE_SLACK_S = 30.0
_SETTLE_S = 240.0
_HOUR = 3600.0
#: So much later no upload of the run can still be under way, and the hour it lies in is looked through.
_ORPHANS_ARE_OLD = 2.5 * _HOUR

#: Keys that stay in the ledger whatever the number of jobs: none of them grows with it.
LASTING_KEYS = frozenset(
    {
        Key.IDENTITY,
        Key.COUNTERS,
        Key.WATERMARKS,
        Key.DRAIN,
        Key.DRIFT,
        Key.MODELS,
        Key.MODELS_SEEN,
        Key.REAPER,
        Key.DEAD,
        Key.ERASED,
    }
    | {Key.AUDIT, Key.AUDIT_HEAD, Key.GEMINI_CIRCUIT, Key.GEMINI_CIRCUIT_WINDOW}
    | {Key.workers(stage) for stage in Stage}
)
#: Rates and quotas of a tenant, the last readings of a model: some for each of them, whatever the number of jobs.
_OF_TENANTS = (Key.bucket(""), Key.spent(""), "mediscan:alias:", Key.readings(""))
#: kombu's own note of which queues exist.
_BINDINGS = "_kombu.binding"


@dataclass
class Audit:
    """What was found."""

    violations: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    error_codes: Counter[str] = field(default_factory=Counter)
    fallbacks: Counter[str] = field(default_factory=Counter)
    #: Ended jobs of which the client never heard: their answer was lost.
    in_doubt_that_exist: int = 0
    total_ms: list[float] = field(default_factory=list)
    swept_objects: int = 0
    half_written: int = 0
    ledger_keys: list[str] = field(default_factory=list)
    broker_keys: list[str] = field(default_factory=list)


class Auditor:
    """Looks with eyes of its own: at the servers and the files, not through the services."""

    def __init__(self, arena: Arena, client: Client, *, settle_s: float = _SETTLE_S) -> None:
        self._arena = arena
        self._settle_s = settle_s
        self._client = client
        self.audit = Audit()

    async def look(self) -> Audit:
        """Wait until all is quiet, then check everything."""
        self._wait_until_quiet()
        self._check_records()
        self._wait_until_forgotten()
        await self._client.look_again()
        self.audit.violations += self._client.record.violations
        self._check_keys()
        self._check_blobs()
        return self.audit

    def _claim(self, fact: bool, otherwise: str) -> None:
        if not fact:
            self.audit.violations.append(otherwise)

    # --- jobs ---------------------------------------------------------------------------------------------

    def _wait_until(self, fact: Callable[[], bool], timeout_s: float) -> None:
        # That it does not come true is an answer as well.
        wait_until(fact, timeout_s=timeout_s, least_s=0)

    def _wait_until_quiet(self) -> None:
        server = self._arena.cluster.ledger_server
        with server.client() as ledger:
            try:
                self._wait_until(lambda: not ledger.exists(Key.DUE), self._settle_s)
            except AssertionError:
                left = ledger.zrange(Key.DUE, 0, 9)
                self._claim(fact=False, otherwise=f"{ledger.zcard(Key.DUE)} jobs stay due, such as {left}")
        with self._arena.cluster.broker_server.client() as broker:
            try:
                self._wait_until(lambda: not messages.lists(broker), self._settle_s)
            except AssertionError:
                waiting = {name: len(found) for name, found in messages.lists(broker).items()}
                self._claim(fact=False, otherwise=f"messages stay in the queues: {waiting}")

    def _check_records(self) -> None:
        archived = {path.stem: path.read_bytes() for path in self._files(f"*.{Blob.RECORD}")}
        for job_id, stored in archived.items():
            self._check_record(job_id, stored)
        known = {*self._client.record.jobs, *self._arena.extra_jobs}
        for job_id in sorted(known - set(archived)):
            self._claim(fact=False, otherwise=f"{job_id} was accepted and has no stored end")
        self.audit.in_doubt_that_exist = len(set(archived) - known)
        for job_id, job in self._client.record.jobs.items():
            self._claim(bool(job.sights), f"{job_id} was never seen at its end")

    def _check_record(self, job_id: str, stored: bytes) -> None:
        job = JobView.model_validate_json(stored)
        self.audit.states[job.state] += 1
        if job.error:
            self.audit.error_codes[job.error.code] += 1
        if job.result and job.result.fallback:
            self.audit.fallbacks[job.result.fallback.reason] += 1
        if job.timings.total_ms is not None:
            self.audit.total_ms.append(job.timings.total_ms)
        self._claim(job.state in TERMINAL and job.ended_at is not None, f"{job_id} is stored unfinished")
        late_s = (job.ended_at - job.deadline_at).total_seconds() if job.ended_at else 0
        self._claim(late_s <= _DEADLINE_SLACK_S, f"{job_id} outlived its deadline by {late_s:.0f} s")
        live = self._arena.record(job_id)
        same = live is None or view(live).model_dump_json().encode() == stored
        self._claim(same, f"{job_id} differs between Redis and the archive")

    # --- what is left -------------------------------------------------------------------------------------

    def _wait_until_forgotten(self) -> None:
        """Finished jobs leave Redis when their time in the cache is over."""
        with self._arena.cluster.ledger_server.client() as ledger:
            timeout_s = self._arena.settings().cache_ttl_s + self._settle_s
            try:
                jobs = partial(ledger.scan_iter, "mediscan:job:*", count=10_000)
                self._wait_until(lambda: next(iter(jobs()), None) is None, timeout_s)
            except AssertionError:
                left = [str(key) for key in ledger.scan_iter("mediscan:job:*")]
                self._claim(fact=False, otherwise=f"{len(left)} jobs stay in Redis, such as {left[:3]}")

    def _check_keys(self) -> None:
        """Every key of both servers is one that is known to last."""
        cluster = self._arena.cluster
        with cluster.ledger_server.client() as ledger, cluster.broker_server.client() as broker:
            self.audit.ledger_keys = sorted(_keys(ledger))
            self.audit.broker_keys = sorted(_keys(broker))
        unknown = {key for key in self.audit.ledger_keys if not key.startswith(_OF_TENANTS)} - LASTING_KEYS
        unknown |= {key for key in self.audit.broker_keys if not key.startswith(_BINDINGS)}
        self._claim(not unknown, f"keys that nobody accounts for: {sorted(unknown)[:20]}")

    def _check_blobs(self) -> None:
        """After a sweep every file belongs to a job that has an end; after the retention nothing is left."""
        now = time.time()
        self.audit.half_written = len([path for path in self._files("*") if "#" in path.name])
        self.audit.swept_objects = self._sweep(now + _ORPHANS_ARE_OLD)
        ended = {path.stem for path in self._files(f"*.{Blob.RECORD}")}
        orphans = [path.name for path in self._files("*") if path.name.split(".")[0] not in ended]
        self._claim(not orphans, f"{len(orphans)} orphans are left after a sweep, such as {orphans[:5]}")
        retention_s = self._arena.settings().retention_s
        self._sweep(now + retention_s + _ORPHANS_ARE_OLD)
        left = [str(path.relative_to(self._tenant)) for path in self._tenant.rglob("*")]
        self._claim(not left, f"{len(left)} files or folders outlive the retention, such as {left[:5]}")

    def _sweep(self, now: float) -> int:
        settings = self._arena.settings()
        with self._arena.ledger() as ledger:
            return sweep(ledger, BlobStore.open(settings.blob_url), settings, now=now)

    @property
    def _tenant(self) -> Path:
        return self._arena.cluster.blobs / DEFAULT_TENANT

    def _files(self, pattern: str) -> Iterator[Path]:
        return (path for path in self._tenant.rglob(pattern) if path.is_file())


def _keys(client: "redis.Redis") -> list[str]:
    return [str(key) for key in client.scan_iter(count=10_000)]
