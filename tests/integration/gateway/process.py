"""A gateway process of the test's own, and a look at everything it may leave behind."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self, cast

import httpx

from embedded.valkey import broker_command
from shared.blob_store import BlobStore
from shared.ledger import Ledger
from shared.names import DEFAULT_TENANT, JobRef, Key
from shared.settings import Settings
from tests.support.valkey import Server
from tests.support.waiting import wait_until

_ROOT = Path(__file__).parents[3]
_LISTENING = re.compile(r"listening on (http://\S+?)[\s\"]")


def start(environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """`python -m services.gateway` with these variables and no other of ours; its log goes to `log`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MEDISCAN_")}
    with log.open("wb") as out:
        command = [sys.executable, "-m", "services.gateway"]
        return subprocess.Popen(command, env=inherited | dict(environment), cwd=_ROOT, stdout=out, stderr=out)


def listening(log: Path) -> str:
    """Where the gateway with this log listens; empty: nowhere yet."""
    found = _LISTENING.search(log.read_text())
    return found.group(1) if found else ""


def run_to_end(environment: Mapping[str, str], log: Path) -> tuple[int, str]:
    """Exit status and output of a gateway that is expected to refuse to start."""
    process = start(environment, log)
    try:
        return process.wait(timeout=120), log.read_text()
    finally:
        process.kill()
        process.wait()


class House:
    """A gateway with a ledger and a broker server of its own; the test plays the workers."""

    def __init__(self, **settings: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mediscan-gw-"))
        self.ledger_server = Server()
        self.broker_server = Server(broker_command)
        self.environment = {
            "MEDISCAN_REDIS_URL": self.ledger_server.url,
            "MEDISCAN_BROKER_URL": self.broker_server.broker_url,
            "MEDISCAN_BLOB_URL": f"file://{self.folder / 'blobs'}",
            "MEDISCAN_PORT": "0",
            **{f"MEDISCAN_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._log = self.folder / "gateway.log"
        self.url = ""

    def __enter__(self) -> Self:
        """Start all three; returns once the gateway listens. What was started ends even if the rest does not start."""
        with ExitStack() as started:
            started.callback(shutil.rmtree, self.folder)
            for server in (self.ledger_server, self.broker_server):
                started.callback(server.remove)
                server.start()
            self._start_gateway(started)
            self._ends = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes and remove all files."""
        self._ends.close()

    def _start_gateway(self, started: ExitStack) -> None:
        self.process = start(self.environment, self._log)
        started.callback(self._end_gateway)
        self.url = wait_until(self._listening, timeout_s=120, what="the gateway listens")
        self.http = started.enter_context(httpx.Client(base_url=self.url, timeout=10))
        settings = Settings(redis_url=self.ledger_server.url, blob_url=self.environment["MEDISCAN_BLOB_URL"])
        self.ledger = started.enter_context(closing(Ledger.open(settings, patience_s=0.2)))
        self.blobs = BlobStore.open(settings.blob_url)

    def _end_gateway(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def reset(self) -> None:
        """Back to how it was born, whatever the last test did."""
        for server in (self.ledger_server, self.broker_server):
            server.reset()
        self.reset_files()

    def reset_files(self) -> None:
        """Empty the blob store."""
        for file in self.files():
            file.unlink()
        for folder in (self.folder / "blobs").glob("_*"):
            shutil.rmtree(folder)

    # --- asking -------------------------------------------------------------------------------------------

    def submit(self, image: bytes, **fields: str) -> httpx.Response:
        """POST /v1/jobs as a well-behaved client."""
        return self.http.post("/v1/jobs", files={"image": ("scan.png", image)}, data=fields)

    def accepted(self, image: bytes, **fields: str) -> JobRef:
        """A job that must be accepted."""
        answer = self.submit(image, **fields)
        assert answer.status_code == 202, answer.text
        return JobRef(DEFAULT_TENANT, answer.json()["id"])

    def job(self, ref: JobRef) -> dict[str, Any]:
        """GET the job; it must be there."""
        answer = self.http.get(f"/v1/jobs/{ref.job_id}")
        assert answer.status_code == 200, answer.text
        return cast(dict[str, Any], answer.json())

    # --- looking ------------------------------------------------------------------------------------------

    def log(self) -> str:
        """What the gateway has logged."""
        return self._log.read_text()

    def ledger_time(self) -> int:
        """Unix seconds on the ledger's clock."""
        with self.ledger_server.client() as client:
            return int(client.time()[0])

    def files(self) -> list[Path]:
        """Every file of a tenant in the blob store: not the probe of the readiness check, no key."""
        return [path for path in (self.folder / "blobs").glob("[!_]*/**/*") if path.is_file()]

    def jobs(self) -> list[str]:
        """Every job key and due entry in the ledger."""
        with self.ledger_server.client() as client:
            keys = [str(key) for key in client.scan_iter("mediscan:job:*")]
            return keys + [str(member) for member in cast(list[str], client.zrange(Key.DUE, 0, -1))]

    def messages(self) -> dict[str, list[str]]:
        """Every list in the broker: kombu keeps one a queue and priority."""
        with self.broker_server.client() as client:
            lists = [str(key) for key in client.scan_iter(_type="list")]
            return {key: cast(list[str], client.lrange(key, 0, -1)) for key in lists}

    def left_behind(self) -> list[object]:
        """Everything a refused upload must not leave."""
        return [*self.files(), *self.jobs(), *self.messages()]

    def _listening(self) -> str:
        assert self.process.poll() is None, self.log()
        return listening(self._log)
