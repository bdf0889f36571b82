"""The real cluster, one process a service, each of which a test may stop, kill and start again."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from embedded.layout import SERVICES
from embedded.valkey import broker_command
from tests.support.launch import launch
from tests.support.valkey import Server
from tests.support.waiting import wait_until

#: Everything that takes seconds in real life takes tenths here.
QUICK = {
    "GEMINI_GRACE_S": "1.5",
    "GEMINI_TIMEOUT_S": "1",
    "GEMINI_ATTEMPTS": "1",
    "ML_LEASE_S": "6",
    "ML_TIME_LIMIT_S": "5",
    "REPUBLISH_AFTER_S": "1",
    "RETRY_PAUSE_S": "0.2",
    "REAPER_INTERVAL_S": "0.2",
    "AUDIT_SEAL_S": "1",
}

_URL = re.compile(r"listening on (http://[\w.:]+)")


class Cluster:
    """Ledger, broker and services on sockets and ports of their own, ended when the `with` block ends."""

    def __init__(self, *, services: Iterable[str] = SERVICES, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mediscan-"))
        self.ledger_server = Server()
        self.broker_server = Server(broker_command)
        self._services = tuple(services)
        self._settings = {**QUICK, **settings}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.http = httpx.Client(timeout=30)

    def on(self, *, ledger: Server, broker: Server | None = None) -> Self:
        """With these servers in place of its own, before it is started; it removes them in the end."""
        self.ledger_server.remove()
        self.ledger_server = ledger
        if broker is not None:
            self.broker_server.remove()
            self.broker_server = broker
        return self

    # --- processes ----------------------------------------------------------------------------------------

    def set(self, name: str, value: str) -> None:
        """Change a setting for services started from now on."""
        self._settings[name] = value

    def start(self, name: str) -> None:
        """Start a service, which must not be running; `service@2` is another process of the same."""
        assert not self.is_running(name), f"{name} is running"
        command = [sys.executable, "-m", *SERVICES[name.partition("@")[0]]]
        self._processes[name] = launch(command, self.log(name), {**self.environment(), **self.login(name)})

    def is_running(self, name: str) -> bool:
        """Whether the service's main process lives."""
        return name in self._processes and self._processes[name].poll() is None

    def exit_status(self, name: str) -> int | None:
        """Of the service's main process; below zero the signal that ended it, None while it lives."""
        return self._processes[name].poll()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the service's main process alone."""
        os.kill(self._processes[name].pid, number)

    def stop(self, name: str, *, timeout_s: float = 60) -> None:
        """SIGTERM the service's main process and wait for its end; AssertionError with its log where it stays."""
        self.signal(name, signal.SIGTERM)
        try:
            wait_until(lambda: not self.is_running(name), timeout_s=timeout_s, what=f"{name} stops")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log(name).read_text()[-4000:]}") from error

    def kill(self, name: str) -> None:
        """SIGKILL the service with all of its children, as a power cut would, and reap it."""
        process = self._processes[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
        for left in Path(tempfile.gettempdir()).glob(f"mediscan-metrics-{process.pid}-*"):
            shutil.rmtree(left)

    def pid(self, name: str) -> int:
        """Of the service's main process, which leads a process group of its own."""
        return self._processes[name].pid

    def children(self, name: str) -> list[int]:
        """Process ids of the service's children."""
        pid = self.pid(name)
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def wait_ready(self) -> None:
        """Return once `/readyz` says so."""

        def is_ready() -> bool:
            dead = [name for name in self._processes if not self.is_running(name)]
            assert not dead, "\n".join(self.log(name).read_text() for name in dead)
            self.http.base_url = httpx.URL(self.url)
            with contextlib.suppress(httpx.TransportError):
                return self.http.get("/readyz").is_success
            return False

        wait_until(is_ready, timeout_s=60, what="the cluster is ready")

    @property
    def url(self) -> str:
        """Of the gateway that was started last."""
        found = wait_until(lambda: _URL.findall(self.log("gateway").read_text()), timeout_s=30)
        return str(found[-1])

    def log(self, name: str) -> Path:
        """What a service wrote to standard output and error."""
        return self.folder / f"{name}.log"

    def logs(self) -> str:
        """What all of them wrote."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    @property
    def blobs(self) -> Path:
        """The blob store's folder."""
        return self.folder / "blobs"

    def blob_files(self) -> list[Path]:
        """Every stored object of a tenant."""
        return [path for path in self.blobs.glob("[!_]*/**/*") if path.is_file()]

    def environment(self) -> Mapping[str, str]:
        """What the services find, on top of ours."""
        own = {
            "REDIS_URL": self.ledger_server.url,
            "BROKER_URL": self.broker_server.broker_url,
            "BLOB_URL": f"file://{self.blobs}",
            "PORT": "0",
            "LOG_FORMAT": "json",
        }
        return {f"MEDISCAN_{name}": value for name, value in {**own, **self._settings}.items()}

    def login(self, name: str) -> Mapping[str, str]:
        """What one service finds on top of that; nothing where servers ask for no user."""
        del name
        return {}

    def __enter__(self) -> Self:
        self.ledger_server.start()
        self.broker_server.start()
        for name in self._services:
            self.start(name)
        try:
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything by process id and remove all data."""
        self.http.close()
        for name in self._processes:
            self.kill(name)
        self.ledger_server.remove()
        self.broker_server.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- as a client --------------------------------------------------------------------------------------

    def submit(self, image: bytes, **fields: str) -> dict[str, Any]:
        """Submit a job that must be accepted."""
        answer = self.http.post("/v1/jobs", files={"image": ("scan", image)}, data=fields)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as it stands."""
        answer = self.http.get(f"/v1/jobs/{job_id}")
        assert answer.is_success, answer.text
        return dict(answer.json())

    def finished(self, job_id: str, *, timeout_s: float = 30) -> dict[str, Any]:
        """The job once it has ended."""

        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["ended_at"] else None

        found = wait_until(ended, timeout_s=timeout_s, what=f"{job_id} ends")
        assert found is not None
        return found

    def run(self, image: bytes, **fields: str) -> dict[str, Any]:
        """Submit and follow to the end."""
        return self.finished(self.submit(image, **fields)["id"])

    def counters(self) -> dict[str, int]:
        """The ledger's counters."""
        with self.ledger_server.client() as client:
            return {name: int(value) for name, value in client.hgetall("mediscan:counters").items()}
