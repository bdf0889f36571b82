"""What every system that is measured has in common: started in a folder of its own, asked over HTTP, ended by pid."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import processes
from benchmarks.http_client import Answer
from tests.support.launch import launch

_START_S = 180.0


class CannotStartError(Exception):
    """It is not installed here, or does not come up; the report says so."""


class Subject:
    """One system with its processes. A subclass says what to start and how to ask."""

    #: As the report names it.
    name = ""
    #: What its answer to a submission promises.
    promise = ""
    #: Whether a submission's answer is the result already.
    is_synchronous = False

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mediscan-bench-"))
        self.port = free_port()
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    # --- for subclasses -----------------------------------------------------------------------------------

    def commands(self) -> Mapping[str, Sequence[str]]:
        """Command lines by role, in the order in which they are started."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """On top of ours."""
        return {}

    def submission(self, image: bytes) -> bytes:
        """The request that submits an image."""
        raise NotImplementedError

    def inquiry(self, answer: Answer) -> bytes | None:
        """The request that asks for the result of what `answer` accepted; None where `answer` is the result."""
        raise NotImplementedError

    def is_result(self, answer: Answer) -> bool:
        """Whether the answer to an inquiry holds the result."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether it takes work."""
        raise NotImplementedError

    def ports(self) -> Sequence[int]:
        """Where it takes work; each connection of the client keeps to one of them."""
        return (self.port,)

    # --- processes ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every process, and return once work is taken; CannotStartError says why not."""
        for role, command in self.commands().items():
            self._start(role, command)
        give_up = time.monotonic() + _START_S
        while not self._is_ready():
            self._check_alive()
            if time.monotonic() > give_up:
                raise CannotStartError(f"not ready within {_START_S:.0f} s: {self._last_words()}")
            time.sleep(0.1)

    def _start(self, role: str, command: Sequence[str]) -> None:
        self._started[role] = launch(command, self.folder / f"{role}.log", self.environment())

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.is_ready()
        return False

    def _check_alive(self) -> None:
        for role, process in self._started.items():
            if process.poll() is not None:
                raise CannotStartError(f"{role} ended: {self._last_words()}")

    def _last_words(self) -> str:
        lines = [line for log in sorted(self.folder.glob("*.log")) for line in _tail(log)]
        return " | ".join(lines[-3:])

    def pids(self) -> dict[int, str]:
        """Every process of it, with its role; children are `role/…`."""
        found = {}
        for role, process in self._started.items():
            for pid in processes.tree([process.pid]):
                found[pid] = role if pid == process.pid else self.child_role(role, pid)
        return found

    @contextlib.contextmanager
    def stopped(self, role: str) -> Iterator[None]:
        """Have a role's processes stand still meanwhile."""
        pids = processes.tree([self._started[role].pid])
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def child_role(self, role: str, pid: int) -> str:
        """What a child of a role's process is called."""
        del pid
        return role

    def close(self) -> None:
        """End all processes by pid, whatever session they made for themselves, and remove the folder."""
        left = list(self.pids())
        for process in self._started.values():
            process.terminate()
        for process in self._started.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._started.values():
            process.wait(15)
        self._started.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- helpers ------------------------------------------------------------------------------------------

    def get(self, path: str, port: int | None = None) -> int:
        """Status of a GET, for readiness."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()


def free_port() -> int:
    """A port of loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(log: Path) -> list[str]:
    return [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-3:]
