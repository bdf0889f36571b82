"""A RabbitMQ node of our own: Debian's server with a name, ports and folders that no other node knows."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.sentinels import free_port
from tests.support.waiting import wait_until

#: The script itself: the one on the PATH insists on the user `rabbitmq`, whose folders are the machine's own node's.
_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
USER, PASSWORD = "mediscan", "rabbit-password"


def rabbitmq_script() -> Path:
    """Where the server is; skips the test without one, and fails it under `.ci/run`, which installs one."""
    if _SCRIPT.exists() and shutil.which("epmd"):
        return _SCRIPT
    reason = "no RabbitMQ here (Debian: rabbitmq-server)"
    if os.environ.get("SKIP_NOTHING"):
        pytest.fail(reason)
    pytest.skip(reason)


class RabbitMq:
    """One node on loopback, ended by its process id; its queues outlive a restart."""

    def __init__(self, authority: Authority | None = None) -> None:
        self._script = rabbitmq_script()
        self.folder = Path(tempfile.mkdtemp(prefix="mediscan-rabbit-"))
        self.port, self._distribution, self._epmd_port = free_port(), free_port(), free_port()
        self.tls_port = free_port() if authority else 0
        self._name = f"mediscan{secrets.token_hex(4)}@localhost"
        self._configure(authority)
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None

    @property
    def broker_url(self) -> str:
        """For Celery."""
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}//"

    @property
    def tls_url(self) -> str:
        """The same over TLS."""
        return f"amqps://{USER}:{PASSWORD}@127.0.0.1:{self.tls_port}//"

    @property
    def pid(self) -> int:
        """Of the running node."""
        assert self._node is not None, "the node is not running"
        return self._node.pid

    def signal(self, number: signal.Signals) -> None:
        """Send the node a signal, such as SIGSTOP."""
        os.kill(self.pid, number)

    def start(self) -> None:
        """Start the node, on the data left by an earlier run, and return once it takes connections."""
        assert self._node is None, "the node is running"
        with (self.folder / "log").open("ab") as log:
            if self._epmd is None:
                command = [
                    shutil.which("epmd") or "epmd",
                    "-port",
                    str(self._epmd_port),
                    "-address",
                    "127.0.0.1",
                ]
                self._epmd = subprocess.Popen(command, stdout=log, stderr=log)
                wait_until(lambda: _listens(self._epmd_port), timeout_s=20, what="epmd listens")
            self._node = subprocess.Popen(
                [str(self._script)], env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._answers, timeout_s=120, what="RabbitMQ listens")

    def stop(self, *, kill: bool = False) -> None:
        """End the node; no error if it is not running. kill: SIGKILL, as a crash would."""
        if self._node is None:
            return
        if kill:
            self._node.kill()
        else:
            self._node.terminate()
        self._node.wait(60)
        self._node = None

    def remove(self) -> None:
        """End everything and remove all data."""
        self.stop(kill=True)
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def control(self, *words: str) -> str:
        """What `rabbitmqctl` prints."""
        command = [str(self._script.with_name("rabbitmqctl")), "-q", "-n", self._name, *words]
        ran = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=120, check=True
        )
        return ran.stdout

    def _configure(self, authority: Authority | None) -> None:
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            f"default_user = {USER}",
            f"default_pass = {PASSWORD}",
            # The disk is everybody's; a node that thinks it full blocks its publishers.
            "disk_free_limit.absolute = 1MB",
            "log.console = true",
            "log.file = false",
        ]
        if authority is not None:
            certificate, key = authority.sign("127.0.0.1")
            files = {"cacertfile": authority.file, "certfile": certificate, "keyfile": key}
            lines += [
                f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
                "ssl_options.verify = verify_none",
                *(f"ssl_options.{name} = {path}" for name, path in files.items()),
            ]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "enabled_plugins").write_text("[].\n")

    def _environment(self) -> dict[str, str]:
        own = {
            "NODENAME": self._name,
            "DIST_PORT": str(self._distribution),
            "MNESIA_BASE": str(self.folder / "mnesia"),
            "LOG_BASE": str(self.folder / "log.d"),
            "CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "CONF_ENV_FILE": str(self.folder / "none"),
            "ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "PID_FILE": str(self.folder / "pid"),
            # Few schedulers and no busy waiting: the machine is not its own.
            "SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        return {
            "PATH": os.environ["PATH"],
            # Erlang's cookie lies there.
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Erlang takes the place of the script: one process, of which we know the id.
            "RUNNING_UNDER_SYSTEMD": "true",
            **{f"RABBITMQ_{name}": value for name, value in own.items()},
        }

    def _answers(self) -> bool:
        assert self._node is not None
        assert self._node.poll() is None, (self.folder / "log").read_text()
        return all(_listens(port) for port in (self.port, self.tls_port) if port)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
