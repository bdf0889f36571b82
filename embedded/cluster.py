"""Starts the embedded cluster, waits until it is ready, and stops it: nothing is left running."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from honcho.manager import Manager
from pydantic import SecretStr

from embedded.layout import Layout
from shared.errors import LedgerUnavailableError, SetupError
from shared.ledger import Ledger
from shared.refusal import why_refused
from shared.settings import Settings, load

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0
_URL = re.compile(r"listening on (http://\S+?)[\"\s]")
_COMPLAINT = re.compile(r"mediscan: .*")


@dataclass(frozen=True)
class Running:
    """A cluster that is up."""

    url: str
    _layout: Layout
    _runner: "subprocess.Popen[bytes]"

    def wait(self) -> None:
        """Return never: SetupError when a process, and so the cluster, ended by itself."""
        self._runner.wait()
        raise SetupError(_complaint(self._layout))


@contextmanager
def running(layout: Layout, tell: Callable[[str], None]) -> Iterator[Running]:
    """The cluster while the block runs. SetupError, one line, if it cannot start."""
    _check_servers(layout)
    layout.log.parent.mkdir(parents=True, exist_ok=True)
    with layout.log.open("wb") as log:
        runner = subprocess.Popen(
            [sys.executable, "-m", "embedded", "processes"],
            stdout=log,
            stderr=subprocess.STDOUT,
            # It makes the same layout again, from the same settings.
            env={**os.environ, "MEDISCAN_VAR_DIR": str(layout.var), "MEDISCAN_PORT": layout.port},
            start_new_session=True,
        )
        try:
            yield Running(_wait_until_ready(runner, layout, tell), layout, runner)
        finally:
            _stop(runner)


def run_processes(layout: Layout) -> int:
    """Run every process in the foreground until one ends or a signal comes; then all end. Returns a status."""
    manager = Manager()
    for name, command in layout.commands.items():
        manager.add_process(name, f"exec {shlex.join(command)}", env={**os.environ, **layout.environment})
    manager.loop()
    return int(manager.returncode or 0)


def dead_letters(layout: Layout) -> int:
    """Print the running cluster's dead letters. Returns a status."""
    command = [sys.executable, "-m", "services.fusion", "dead-letters"]
    return subprocess.call(  # noqa: S603 - our own interpreter and module
        command, env={**os.environ, **layout.environment, "MEDISCAN_STARTUP_TIMEOUT_S": "1"}
    )


def _wait_until_ready(runner: "subprocess.Popen[bytes]", layout: Layout, tell: Callable[[str], None]) -> str:
    give_up = time.monotonic() + _START_TIMEOUT_S
    missing = "the gateway"
    while time.monotonic() < give_up:
        if runner.poll() is not None:
            raise SetupError(_complaint(layout))
        if url := _gateway_url(layout):
            now_missing = _missing(url)
            if not now_missing:
                return url
            if now_missing != missing:
                tell(f"waiting for {now_missing}")
            missing = now_missing
        time.sleep(0.1)
    raise SetupError(f"the cluster was not ready after {_START_TIMEOUT_S:.0f} s; {layout.log} says more")


def _gateway_url(layout: Layout) -> str | None:
    found = _URL.search(layout.log.read_text(errors="replace"))
    return found.group(1) if found else None


def _missing(url: str) -> str:
    """What is not ready yet, as the gateway tells it; empty when all is."""
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return "the gateway"
    if answer["status"] == "ready":
        return ""
    # A gateway that takes keys does not tell a stranger which part.
    return ", ".join(answer.get("missing", []) + answer.get("degraded", [])) or "the cluster"


def _complaint(layout: Layout) -> str:
    """Why the cluster ended by itself: the line that the service at fault wrote."""
    found = _COMPLAINT.search(layout.log.read_text(errors="replace"))
    if found:
        return found.group(0).removeprefix("mediscan: ").strip()
    return f"a process ended by itself; {layout.log} says which"


def _check_servers(layout: Layout) -> None:
    """A server of one's own must answer; a socket of ours must not, or the cluster already runs."""
    ours = "ledger" in layout.commands
    ledger = Ledger.open(_settings(layout), patience_s=0)
    try:
        ledger.check_writable()
    except LedgerUnavailableError as error:
        if not ours:
            raise SetupError(_why_absent(error)) from error
    else:
        if ours:
            raise SetupError(f"a cluster already runs in {layout.var}; stop it first")
    finally:
        ledger.close()


def _settings(layout: Layout) -> Settings:
    """As the services will find them."""
    url = SecretStr(layout.environment["MEDISCAN_REDIS_URL"])
    return load(Settings).model_copy(update={"redis_url": url})


def _why_absent(error: LedgerUnavailableError) -> str:
    if refused := why_refused(error):
        return f"the Redis at MEDISCAN_REDIS_URL {refused}"
    return "no Redis answers at MEDISCAN_REDIS_URL"


def _stop(runner: "subprocess.Popen[bytes]") -> None:
    if runner.poll() is None:
        runner.send_signal(signal.SIGTERM)
    try:
        runner.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(runner.pid, signal.SIGKILL)
        runner.wait()
