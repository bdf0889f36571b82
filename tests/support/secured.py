"""Ledger and broker with the users and rights of `deploy/valkey/`, and a cluster that logs in to them."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import redis

from embedded.layout import SERVICES
from embedded.valkey import broker_command, ledger_command
from tests.support.cluster import Cluster
from tests.support.launch import ROOT
from tests.support.valkey import Command, Server

RIGHTS = ROOT / "deploy" / "valkey"


def make_credentials(out: Path) -> None:
    """As the container does that compose starts first."""
    subprocess.run([str(RIGHTS / "credentials"), str(RIGHTS), str(out)], check=True)


class SecuredServer(Server):
    """A server that knows the users of one `users.acl` and lets nobody else do anything."""

    def __init__(self, command: Command, credentials: Path, name: str) -> None:
        self._credentials, self._name = credentials, name
        rights = str(credentials / name / "users.acl")
        super().__init__(lambda folder, *listen: [*command(folder, *listen), "--aclfile", rights])

    def login(self, user: str, *, form: str = "unix") -> str:
        """The URL of this server for a service's user."""
        password = self.password(user)
        if form == "unix":
            return f"unix://{user}@{self.socket}?password={password}"
        return f"redis+socket://{user}:{password}@{self.socket}"

    def password(self, user: str) -> str:
        """Of a service's user, or of the operator."""
        folder = self._credentials
        file = folder / self._name / user if user == "operator" else folder / user / f"{self._name}.password"
        return file.read_text()

    def client(self, user: str = "operator") -> "redis.Redis":
        """A plain client with that user's rights."""
        return redis.Redis(
            unix_socket_path=str(self.socket),
            username=user,
            password=self.password(user),
            decode_responses=True,
            socket_timeout=5,
        )


class SecuredCluster(Cluster):
    """Each service with its own user at ledger and broker."""

    def __init__(self, ledger: SecuredServer, broker: SecuredServer, **settings: str) -> None:
        super().__init__(**settings)
        self.on(ledger=ledger, broker=broker)
        self.ledger, self.broker = ledger, broker

    def login(self, name: str) -> Mapping[str, str]:
        """The service's own URLs."""
        return {
            "MEDISCAN_REDIS_URL": self.ledger.login(name),
            "MEDISCAN_BROKER_URL": self.broker.login(name, form="redis+socket"),
        }

    def planted(self) -> set[str]:
        """Every password that a service logs in with."""
        return {server.password(name) for server in (self.ledger, self.broker) for name in SERVICES}


def on_sockets(credentials: Path, **settings: str) -> SecuredCluster:
    """A cluster whose servers listen on unix sockets, with users and passwords just made."""
    make_credentials(credentials)
    ledger = SecuredServer(ledger_command, credentials, "ledger")
    broker = SecuredServer(broker_command, credentials, "broker")
    return SecuredCluster(ledger, broker, **settings)
