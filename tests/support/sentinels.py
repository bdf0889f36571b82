"""A ledger that outlives its server: a primary, two replicas, and three sentinels that choose a new primary."""

import os
import shutil
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import redis

from embedded.valkey import ledger_command, server
from tests.support.valkey import Server
from tests.support.waiting import wait_until

_SERVICE = "mediscan"
_SENTINELS = 3
_REPLICAS = 2
#: So long may a server be silent before a sentinel takes it for dead; a busy machine must not look like that.
DOWN_AFTER_MS = 3000


def free_port() -> int:
    """A TCP port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SentinelLedger(Server):
    """Looks like one server; `client` and `pid` are those of the present primary."""

    def __init__(self) -> None:
        super().__init__()
        ports = [free_port() for _ in range(1 + _REPLICAS)]
        self.servers = {port: Server(_command(port, ports[0])) for port in ports}
        self.sentinels = {
            port: Server(_sentinel_command(port, ports[0]))
            for port in (free_port() for _ in range(_SENTINELS))
        }

    @property
    def url(self) -> str:
        """For the ledger."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        return f"redis+sentinel://{hosts}/{_SERVICE}/0"

    @property
    def primary(self) -> Server:
        """Which server most sentinels take for the primary."""
        return self.servers[self._primary_port()]

    @property
    def replicas(self) -> list[Server]:
        """The others that run."""
        return [one for one in self.servers.values() if one is not self.primary and one.is_running]

    @property
    def pid(self) -> int:
        """Of the primary."""
        return self.primary.pid

    def client(self) -> "redis.Redis":
        """A plain client of the primary."""
        return self.primary.client()

    def start(self, *options: str) -> None:
        """Start all; returns once the replicas follow and the sentinels know each other and the replicas."""
        for one in (*self.servers.values(), *self.sentinels.values()):
            one.start(*options)
        self.wait_whole()

    def wait_whole(self) -> None:
        """Return once all replicas follow, and all sentinels know all."""
        wait_until(self._is_whole, timeout_s=60, what="sentinels and replicas know each other")

    def stop(self, *, kill: bool = False) -> None:
        """End the primary."""
        self.primary.stop(kill=kill)

    def fail_over(self, *, whom: Callable[[Server], None]) -> Server:
        """Do `whom` to the primary and return once another server is one; the old one is returned."""
        old = self.primary
        whom(old)
        wait_until(lambda: self.primary is not old, timeout_s=90, what="the sentinels name another primary")
        return old

    def remove(self) -> None:
        """End all and remove their folders."""
        for one in (*self.sentinels.values(), *self.servers.values()):
            with suppress(AssertionError, ProcessLookupError):
                one.signal(signal.SIGCONT)
            one.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _primary_port(self) -> int:
        """As two sentinels say it."""

        def agreed() -> int:
            said = [_primary_of(sentinel) for sentinel in self.sentinels.values()]
            return max(set(said), key=said.count) if max(map(said.count, said)) > 1 else 0

        return wait_until(agreed, timeout_s=30, what="two sentinels agree on the primary")

    def _is_whole(self) -> bool:
        for sentinel in self.sentinels.values():
            with sentinel.client() as client:
                state = client.sentinel_master(_SERVICE)
            if state["num-slaves"] < _REPLICAS or state["num-other-sentinels"] < _SENTINELS - 1:
                return False
        with self.client() as client:
            return int(client.info("replication")["min_slaves_good_slaves"]) == _REPLICAS


def _primary_of(sentinel: Server) -> int:
    with sentinel.client() as client:
        return int(client.sentinel_get_master_addr_by_name(_SERVICE)[1])


def _command(port: int, primary: int) -> Callable[..., list[str]]:
    follows = [] if port == primary else ["--replicaof", f"127.0.0.1 {primary}"]
    # Without a replica that is heard of the primary takes no writes: it may be one that was replaced.
    guarded = [
        "--min-replicas-to-write",
        "1",
        "--min-replicas-max-lag",
        "10",
        "--repl-diskless-sync-delay",
        "0",
    ]
    return lambda folder, *listen: [
        *ledger_command(folder, *listen),
        *("--port", str(port)),
        *guarded,
        *follows,
    ]


def _sentinel_command(port: int, primary: int) -> Callable[..., list[str]]:
    def command(folder: Path, *listen: str) -> list[str]:
        # Sentinels write what they learn into this file.
        file = folder / "sentinel.conf"
        file.write_text(
            f"sentinel monitor {_SERVICE} 127.0.0.1 {primary} 2\n"
            f"sentinel down-after-milliseconds {_SERVICE} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {_SERVICE} 10000\n"
            f"dir {folder}\nbind 127.0.0.1\n"
        )
        os.chmod(file, 0o600)
        return [server(), str(file), "--sentinel", *listen, "--port", str(port)]

    return command
