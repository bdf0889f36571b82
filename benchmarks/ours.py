"""MediScan as it is measured: every process that `make run` starts, and its durability on."""

import json
import sys
from collections.abc import Mapping, Sequence

from benchmarks import processes
from benchmarks.http_client import Answer, multipart, request
from benchmarks.subject import Subject
from embedded.layout import SERVICES
from embedded.valkey import broker_command, ledger_command

#: Long enough for a deep backlog, and within what the gateway allows.
_WAIT_S = 30


class MediScan(Subject):
    """The whole cluster: ledger with an fsync a write, broker, gateway, workers, fusion, reaper. No Gemini key."""

    name = "MediScan"
    promise = "202: image and record are on disk; the result is too, before it is told"

    def __init__(self, **settings: str) -> None:
        super().__init__()
        self._settings = settings

    def commands(self) -> Mapping[str, Sequence[str]]:
        """The servers, then the services."""
        sockets = {
            role: ("--port", "0", "--unixsocket", str(self.socket(role))) for role in ("ledger", "broker")
        }
        servers = {
            "ledger": ledger_command(self.folder / "ledger", *sockets["ledger"]),
            "broker": broker_command(self.folder / "broker", *sockets["broker"]),
        }
        services = {name: [sys.executable, "-m", *module] for name, module in SERVICES.items()}
        del services["gemini_worker"]  # nobody asks it anything: without a key the reading is skipped
        return servers | services

    def socket(self, role: str) -> object:
        """The unix socket of `ledger` or `broker`."""
        return self.folder / f"{role}.sock"

    def environment(self) -> Mapping[str, str]:
        """The settings of the embedded cluster, and what this run sets itself."""
        own = {
            "REDIS_URL": f"unix://{self.socket('ledger')}",
            "BROKER_URL": f"redis+socket://{self.socket('broker')}",
            "BLOB_URL": f"file://{self.folder}/blobs",
            "PORT": str(self.port),
            "LOG_FORMAT": "json",
            "GEMINI_ENABLED": "false",
            "ML_CONCURRENCY": "2",  # as the peers: a process a core
            "MAX_LIVE_JOBS": "1000000",
            "MAX_LIVE_JOBS_PER_TENANT_SHARE": "1",
        }
        return {f"MEDISCAN_{name}": value for name, value in {**own, **self._settings}.items()}

    def is_ready(self) -> bool:
        """As the gateway says it of the whole cluster."""
        return self.get("/readyz") == 200  # noqa: PLR2004 - HTTP

    def submission(self, image: bytes) -> bytes:
        """POST /v1/jobs."""
        return multipart("/v1/jobs", "image", image)

    def inquiry(self, answer: Answer) -> bytes | None:
        """GET the job, answered once it is over."""
        if answer.status != 202:  # noqa: PLR2004 - HTTP
            raise RuntimeError(f"not accepted: {answer.status} {answer.body[:200]!r}")
        return request("GET", f"/v1/jobs/{json.loads(answer.body)['id']}?wait={_WAIT_S}")

    def is_result(self, answer: Answer) -> bool:
        """Whether the job has ended; RuntimeError where it has not ended well."""
        job = json.loads(answer.body)
        if job["state"] in {"failed", "expired", "cancelled"}:
            raise RuntimeError(f"the job has {job['state']}: {job['error']}")
        return bool(job["state"] == "completed")

    def child_role(self, role: str, pid: int) -> str:
        """An ML worker has children that read, and each of those one that decodes."""
        return f"{role}/decoder" if "shared.image.child" in processes.command(pid) else f"{role}/child"
