"""Which processes the embedded cluster is made of, with their command lines and environment."""

import hashlib
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from embedded import valkey
from embedded.settings import EmbeddedSettings

#: A socket's path may have no more than about this many bytes (sockaddr_un).
_SOCKET_PATH_LIMIT = 100

SERVICES = {
    "gateway": ("services.gateway",),
    "ml_worker": ("services.ml_worker",),
    "gemini_worker": ("services.gemini_worker",),
    "fusion": ("services.fusion",),
    "reaper": ("services.fusion", "reaper"),
}


@dataclass(frozen=True)
class Layout:
    """Commands by process name, and what they find in their environment on top of ours."""

    commands: dict[str, list[str]]
    #: May hold passwords, in URLs.
    environment: dict[str, str] = field(repr=False)
    var: Path

    @property
    def port(self) -> str:
        """The gateway's port, as its setting spells it."""
        return self.environment["MEDISCAN_PORT"]

    @property
    def log(self) -> Path:
        """Where all processes write to."""
        return self.var / "log" / "cluster.log"


def layout(settings: EmbeddedSettings, *, port: int) -> Layout:
    """The cluster under `settings.var_dir`, its gateway on `port` (0: any free one)."""
    var = settings.var_dir.absolute()
    sockets = _socket_folder(var)
    ledger, broker = sockets / "ledger.sock", sockets / "broker.sock"
    commands = {}
    if not settings.redis_url.get_secret_value():
        commands["ledger"] = valkey.ledger_command(var / "ledger", *_listen(ledger))
    if not settings.broker_url.get_secret_value():
        commands["broker"] = valkey.broker_command(var / "broker", *_listen(broker))
    commands |= {name: [sys.executable, "-m", *module] for name, module in SERVICES.items()}
    environment = {
        "MEDISCAN_REDIS_URL": settings.redis_url.get_secret_value() or f"unix://{ledger}",
        "MEDISCAN_BROKER_URL": settings.broker_url.get_secret_value() or f"redis+socket://{broker}",
        "MEDISCAN_BLOB_URL": f"file://{var}/blobs",
        "MEDISCAN_PORT": str(port),
        "MEDISCAN_GEMINI_ENABLED": str(settings.gemini_api_key is not None).lower(),
        "PYTHONUNBUFFERED": "1",
    }
    return Layout(commands, environment, var)


def _listen(socket: Path) -> tuple[str, ...]:
    """A private socket file and no port: no other user can connect, and no port can be taken."""
    return ("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700")


def _socket_folder(var: Path) -> Path:
    folder = var / "run"
    if len(str(folder / "ledger.sock")) > _SOCKET_PATH_LIMIT:
        folder = (
            Path(tempfile.gettempdir()) / f"mediscan-{hashlib.sha256(str(var).encode()).hexdigest()[:12]}"
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
