"""The cluster that is broken: every process real, servers behind wires that can be cut, and a supervisor.

The supervisor starts again what ended by itself, as `restart: unless-stopped` does under compose. What a fault
holds in its hands it leaves alone.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from embedded.layout import SERVICES
from embedded.valkey import ledger_command
from shared.ledger import JobRecord, Ledger
from shared.names import DEFAULT_TENANT, JobRef
from shared.settings import Settings
from tests.chaos.clock import Clock
from tests.chaos.proxy import Proxy
from tests.fake_gemini import FakeGemini
from tests.support.bundles import NAME, copy_bundle, copy_committed
from tests.support.cluster import Cluster
from tests.support.valkey import Server

#: On top of the cluster harness's own quick settings. Leases are short, so that faults may outlast them.
SETTINGS = {
    "JOB_DEADLINE_S": "600",
    "GEMINI_ENABLED": "true",
    "GEMINI_API_KEY": "test-key",
    "GEMINI_LEASE_S": "4",
    "FUSION_LEASE_S": "4",
    "CACHE_TTL_S": "20",
    "HEARTBEAT_TTL_S": "6",
}
#: A second version of the shipped model, for jobs that name one.
OTHER_MODEL = f"{NAME}/9.9.9"
_LOOK_S = 0.3


class Arena:
    """Starts with the `with` block, ends with it. Faults come in from several threads, each holding its targets."""

    def __init__(self, *, seed: int = 0, **settings: str) -> None:
        self.clock = Clock()
        self.gemini = FakeGemini()
        self._models = Path(tempfile.mkdtemp(prefix="mediscan-models-"))
        self.cluster = Cluster(MODELS_DIR=str(self._models), **{**SETTINGS, **settings})
        self.cluster.ledger_server.remove()
        self.cluster.ledger_server = Server(
            lambda folder, *listen: [*self.clock.command, *ledger_command(folder, *listen)]
        )
        self.ledger_wire = Proxy(self.cluster.ledger_server.socket, seed=seed)
        self.broker_wire = Proxy(self.cluster.broker_server.socket, seed=seed + 1)
        #: Services that ended by themselves, with the last line each of them wrote.
        self.ended_by_themselves: list[str] = []
        #: Jobs that faults submitted themselves.
        self.extra_jobs: list[str] = []
        self.sigterm_s: dict[str, list[float]] = {}
        self._locks = {name: threading.Lock() for name in (*SERVICES, "ledger", "broker", "gemini", "blobs")}
        self._is_over = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.callback(shutil.rmtree, self._models, ignore_errors=True)
            copy_committed(self._models)
            copy_bundle(self._models, "9.9.9")
            opened.enter_context(self.clock)
            for part in (self.gemini, self.ledger_wire, self.broker_wire):
                opened.enter_context(part)
            self.cluster.set("GEMINI_BASE_URL", self.gemini.base_url)
            self.cluster.set("REDIS_URL", f"unix://{self.ledger_wire.socket}")
            self.cluster.set("BROKER_URL", f"redis+socket://{self.broker_wire.socket}")
            opened.enter_context(self.cluster)
            opened.callback(self._end_supervisor)
            self._supervisor.start()
            self._ends = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    # --- what faults use ----------------------------------------------------------------------------------

    @contextmanager
    def holding(self, *targets: str) -> Iterator[None]:
        """Have these targets alone: no other fault and no supervisor touches them meanwhile."""
        with ExitStack() as held:
            for target in sorted(targets):
                held.enter_context(self._locks[target])
            yield

    def terminate(self, service: str) -> float:
        """SIGTERM, and how many seconds the service took to end; AssertionError where it did not."""
        start = time.monotonic()
        self.cluster.signal(service, signal.SIGTERM)
        while self.cluster.is_running(service):
            assert time.monotonic() - start < 30, f"{service} does not end on SIGTERM"
            time.sleep(0.02)
        took = time.monotonic() - start
        self.sigterm_s.setdefault(service, []).append(round(took, 2))
        self.cluster.kill(service)  # children that it left behind
        return took

    @contextmanager
    def stopped(self, service: str) -> Iterator[None]:
        """The service with its children under SIGSTOP."""
        group = self.cluster.pid(service)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)

    def processes(self, service: str) -> list[int]:
        """Process ids of a service and its children; empty where it is not running."""
        if not self.cluster.is_running(service):
            return []
        with contextlib.suppress(FileNotFoundError):
            return [self.cluster.pid(service), *self.cluster.children(service)]
        return []

    def kill_children(self, service: str) -> int:
        """SIGKILL each child of a service; how many there were."""
        children = self.processes(service)[1:]
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return len(children)

    # --- looking ------------------------------------------------------------------------------------------

    def settings(self) -> Settings:
        """What the services run with, but straight to the servers."""
        env = {name: value for name, value in self.cluster.environment().items() if "URL" not in name}
        known = {name.removeprefix("MEDISCAN_").lower(): value for name, value in env.items()}
        chosen = {name: value for name, value in known.items() if name in Settings.model_fields}
        return Settings(
            redis_url=self.cluster.ledger_server.url,
            broker_url=self.cluster.broker_server.broker_url,
            blob_url=f"file://{self.cluster.blobs}",
            **chosen,  # type: ignore[arg-type]
        )

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """A ledger of our own, past the wire."""
        opened = Ledger.open(self.settings(), patience_s=5)
        try:
            yield opened
        finally:
            opened.close()

    def record(self, job_id: str) -> JobRecord | None:
        """What the ledger holds of a job."""
        with self.ledger() as ledger:
            return ledger.read(JobRef(DEFAULT_TENANT, job_id))

    def counters(self) -> Mapping[str, int]:
        """The ledger's counters; none while it is away."""
        with contextlib.suppress(redis.exceptions.RedisError):
            return Counter(self.cluster.counters())
        return Counter()

    # --- the supervisor -----------------------------------------------------------------------------------

    def _supervise(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            for service in SERVICES:
                self._revive(service)

    def _revive(self, service: str) -> None:
        if not self._locks[service].acquire(blocking=False):
            return
        try:
            if not self.cluster.is_running(service):
                status = self.cluster.exit_status(service)
                self.ended_by_themselves.append(
                    f"{service} (exit status {status}): {self._last_line(service)}"
                )
                self.cluster.start(service)
        finally:
            self._locks[service].release()

    def _last_line(self, service: str) -> str:
        lines = self.cluster.log(service).read_text(errors="replace").splitlines()
        return lines[-1][:300] if lines else "no word"

    def _end_supervisor(self) -> None:
        self._is_over.set()
        self._supervisor.join(60)
