"""The compose stack under a project name, a port and an image tag of its own, and a client of its gateway."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import httpx

from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
PYTHON_SERVICES = ("gateway", "ml_worker", "gemini_worker", "fusion", "reaper")
SERVICES = (*PYTHON_SERVICES, "ledger", "broker")

#: Not a key of anything; looked for where it must not be.
KEY = f"e2e-{uuid.uuid4().hex}"

#: The image of the compose file, and what the tests make where it cannot be had.
_PROMETHEUS = "prom/prometheus:v3.5.0"
_STAND_IN = "mediscan/prometheus:e2e"

#: A killed worker's job waits for its lease; the rest is as shipped.
QUICK = {"MEDISCAN_ML_LEASE_S": "12", "MEDISCAN_ML_TIME_LIMIT_S": "10"}


def find_compose() -> list[str] | None:
    """`docker compose` or `docker-compose`; None without either, or without an engine that answers."""
    if shutil.which("docker") is None or _fails("docker", "info"):
        return None
    return next((c for c in (["docker", "compose"], ["docker-compose"]) if not _fails(*c, "version")), None)


def docker(*arguments: str) -> str:
    """What a docker command prints; AssertionError with what it complained of if it fails."""
    return _output("docker", *arguments)


class Stack:
    """`up` starts everything, `down` removes containers, networks and volumes; images stay, as a cache."""

    def __init__(self, compose: list[str], folder: Path) -> None:
        self._project = f"mediscan-e2e-{uuid.uuid4().hex[:8]}"
        self._compose = compose
        self._settings = folder / "settings.env"
        self._settings.write_text("")
        self._port = _free_port()
        self._prometheus = _PROMETHEUS
        self._key_file = _write_key(folder)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=30)

    # --- containers ---------------------------------------------------------------------------------------

    def compose(self, *arguments: str) -> str:
        """Run a compose command on this project, blind to the developer's own `.env`."""
        files = ["-f", "docker-compose.yml", "-f", "tests/e2e/fake_gemini.yml"]
        own = ["-p", self._project, "--env-file", str(self._settings), *files]
        return _output(*self._compose, *own, *arguments, environment=self._environment())

    def up(self, *, ml_workers: int = 1) -> None:
        """Bring everything up that is not, and return once the gateway calls the cluster ready."""
        self.compose("up", "-d", "--scale", f"ml_worker={ml_workers}")
        wait_until(self._is_ready, timeout_s=120, what="the stack is ready")
        if "authorization" not in self.http.headers:
            self._take_key()
        wait_until(lambda: self.workers_alive("ml") >= ml_workers, timeout_s=60, what="the ML workers beat")

    def watch(self) -> None:
        """Start Prometheus beside the rest, of the image that is named or, where no registry has it, a stand-in."""
        if _fails("docker", "image", "inspect", _PROMETHEUS) and _fails("docker", "pull", _PROMETHEUS):
            docker("build", "-t", _STAND_IN, "-f", "tests/e2e/prometheus.Dockerfile", "tests/e2e")
            self._prometheus = _STAND_IN
        self.compose("up", "-d", "--no-deps", "prometheus")

    def down(self) -> None:
        """Remove what `up` and `watch` made, whatever state it is in."""
        self.http.close()
        self.compose("--profile", "observability", "down", "--volumes", "--remove-orphans", "--timeout", "5")

    def containers(self, service: str) -> list[str]:
        """Ids of the service's containers, running or not."""
        return self.compose("ps", "-a", "-q", service).split()

    def container(self, service: str) -> str:
        """The service's only container."""
        (only,) = self.containers(service)
        return only

    def logs(self) -> str:
        """What all containers wrote lately."""
        return self.compose("logs", "--no-color", "--tail", "60")

    def workers_alive(self, stage: str) -> int:
        """Nodes of a stage that beat within the last seconds."""
        now = int(self._valkey("TIME").split()[0])
        return int(self._valkey("ZCOUNT", f"mediscan:workers:{stage}", str(now - 8), "+inf"))

    def counters(self) -> dict[str, int]:
        """The ledger's counters."""
        flat = self._valkey("HGETALL", "mediscan:counters").split()
        return {name: int(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}

    def _valkey(self, *command: str) -> str:
        # As the operator, whose password lies in the ledger's own container.
        script = 'REDISCLI_AUTH=$(cat /run/credentials/operator) exec valkey-cli --user operator "$@"'
        return docker("exec", self.container("ledger"), "sh", "-c", script, "sh", *command)

    def _take_key(self) -> None:
        """As docs/deploy.md says; the gateway may take a second to notice."""
        made = self.compose(
            "exec", "-T", "gateway", "python", "-m", "mediscan", "keys", "create", "--tenant", "e2e"
        )
        self.http.headers["authorization"] = f"Bearer {made.split()[-1]}"
        wait_until(lambda: self.http.get("/v1/models").is_success, timeout_s=30, what="the key is known")

    def _is_ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/readyz").is_success
        return False

    def _environment(self) -> dict[str, str]:
        outside = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MEDISCAN_", "COMPOSE_"))
        }
        return {
            **outside,
            **QUICK,
            # Seconds; its usual 60 are too few on a busy machine whose engine copies whole layers.
            "COMPOSE_HTTP_TIMEOUT": "300",
            "MEDISCAN_TAG": "e2e",
            "MEDISCAN_PROMETHEUS_IMAGE": self._prometheus,
            "MEDISCAN_PORT": str(self._port),
            "MEDISCAN_GEMINI_ENABLED": "true",
            "MEDISCAN_GEMINI_API_KEY_FILE": str(self._key_file),
            "MEDISCAN_GEMINI_BASE_URL": "http://127.0.0.1:9000",
        }

    # --- as a client --------------------------------------------------------------------------------------

    def submit(self, image: bytes) -> str:
        """Submit until accepted, as a client does that is told to come back later; the job's id."""
        give_up = time.monotonic() + 60
        said = "nothing"
        while time.monotonic() < give_up:
            with contextlib.suppress(httpx.TransportError):
                answer = self.http.post("/v1/jobs", files={"image": ("scan", image)})
                if answer.status_code == 202:
                    return str(answer.json()["id"])
                assert answer.status_code == 503, answer.text
                said = answer.text
            time.sleep(0.1)
        raise AssertionError(f"not accepted within a minute; the last answer was {said}\n{self.logs()}")

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as it stands."""
        answer = self.http.get(f"/v1/jobs/{job_id}")
        assert answer.is_success, answer.text
        return dict(answer.json())

    def finished(self, job_ids: list[str], *, timeout_s: float = 120) -> list[dict[str, Any]]:
        """The jobs once all of them have ended."""
        jobs: dict[str, dict[str, Any]] = {}

        def all_ended() -> bool:
            for job_id in set(job_ids) - jobs.keys():
                with contextlib.suppress(httpx.TransportError, AssertionError):
                    job = self.job(job_id)
                    jobs.update({job_id: job} if job["ended_at"] else {})
            return jobs.keys() == set(job_ids)

        wait_until(all_ended, timeout_s=timeout_s, what="all jobs end")
        return [jobs[job_id] for job_id in job_ids]

    def reading(self, job_ids: list[str]) -> int:
        """How many of the jobs an ML worker holds right now."""
        return sum(self.job(job_id)["readings"]["ml"]["state"] == "claimed" for job_id in job_ids)


def inspect(container: str) -> dict[str, Any]:
    """What `docker inspect` tells about a container."""
    found = json.loads(docker("inspect", container))
    return dict(found[0])


def _output(*command: str, environment: dict[str, str] | None = None) -> str:
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}"
    return ran.stdout


def _fails(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_key(folder: Path) -> Path:
    """As docs/deploy.md says: a file that anybody may read, in a folder that nobody else may enter."""
    closed = folder / "secrets"
    closed.mkdir(mode=0o700)
    file = closed / "gemini_api_key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o444)
    return file
