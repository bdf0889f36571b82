"""A Valkey of our own that tests may flush, kill and restart: never the developer's, and on no port."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import redis

from embedded.valkey import ledger_command
from tests.support.waiting import wait_until

#: How a server is started: `ledger_command` (every write fsynced) or `broker_command` (nothing on disk).
Command = Callable[..., list[str]]


class Server:
    """One server process on a unix socket in a folder of its own, ended by its process id."""

    def __init__(self, command: Command = ledger_command) -> None:
        # The system's temp folder: a unix socket path holds about 100 characters, which pytest's folders exceed.
        self.folder = Path(tempfile.mkdtemp(prefix="mediscan-"))
        self.socket = self.folder / "valkey.sock"
        self._command = command(self.folder, "--port", "0", "--unixsocket", str(self.socket))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For redis-py and so for the ledger."""
        return f"unix://{self.socket}"

    @property
    def broker_url(self) -> str:
        """For kombu and so for Celery, which spells the same socket differently."""
        return f"redis+socket://{self.socket}"

    @property
    def is_running(self) -> bool:
        """Whether `start` was called, and `stop` not since."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Of the running server process."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send the server process a signal, such as SIGSTOP."""
        os.kill(self.pid, number)

    def client(self) -> "redis.Redis":
        """A plain client that neither retries nor waits: what a test looks at the server with."""
        return redis.Redis(unix_socket_path=str(self.socket), decode_responses=True, socket_timeout=5)

    def start(self, *options: str) -> None:
        """Start the server, on the data left by an earlier run, and return once it answers.

        options: of the server, for this run alone.
        """
        assert self._process is None, "the server is running"
        log = (self.folder / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen([*self._command, *options], stdout=log, stderr=log)
        wait_until(self._answers, timeout_s=30, what="the server answers")

    def stop(self, *, kill: bool = False) -> None:
        """End the server; no error if it is not running. kill: SIGKILL, as a crash would."""
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(timeout=20)
        self._process = None

    def restart(self, *, kill: bool = False) -> None:
        """Stop and start on the same folder."""
        self.stop(kill=kill)
        self.start()

    def reset(self) -> None:
        """Bring the server back to how it was born, whatever the last test did to it."""
        if self._process is None:
            self.start()
        with self.client() as client:
            client.config_set("maxmemory", 0)
            client.flushall()

    def remove(self) -> None:
        """End the server and remove its folder."""
        self.stop(kill=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "server.log").read_text()
        away = (
            redis.exceptions.ConnectionError,
            redis.exceptions.TimeoutError,
        )  # one that loads its data is slow
        with suppress(*away), self.client() as client:
            return bool(client.ping())
        return False
