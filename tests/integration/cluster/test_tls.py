"""Ledger and broker reached with TLS and users: a job goes through; a wrong password or authority is one line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.layout import SERVICES
from embedded.valkey import broker_command, ledger_command
from tests.support.certificates import Authority
from tests.support.images import scan
from tests.support.launch import ROOT
from tests.support.secured import SecuredCluster, make_credentials
from tests.support.tls import TlsServer


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredCluster]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder / "pki")
    make_credentials(folder / "credentials")
    ledger = TlsServer(ledger_command, folder / "credentials", "ledger", authority)
    broker = TlsServer(broker_command, folder / "credentials", "broker", authority)
    with SecuredCluster(ledger, broker, REDIS_CA_FILE=str(authority.file)) as running:
        yield running


def test_a_job_goes_through(cluster: SecuredCluster) -> None:
    assert cluster.environment()["MEDISCAN_REDIS_CA_FILE"]
    assert cluster.login("gateway")["MEDISCAN_REDIS_URL"].startswith("rediss://")
    assert cluster.run(scan())["state"] == "completed"


def test_an_authority_we_do_not_trust_is_one_line(cluster: SecuredCluster, tmp_path: Path) -> None:
    other = str(Authority(tmp_path, "somebody else").file)
    for changed in ({"MEDISCAN_REDIS_CA_FILE": other}, {"MEDISCAN_REDIS_CA_FILE": ""}):
        said = refused(cluster, "fusion", changed)
        assert "the ledger at MEDISCAN_REDIS_URL shows a certificate that we do not trust" in said


def test_so_is_one_of_the_broker_alone(cluster: SecuredCluster, valkey_url: str, tmp_path: Path) -> None:
    other = str(Authority(tmp_path, "somebody else").file)
    changed = {"MEDISCAN_REDIS_URL": valkey_url, "MEDISCAN_REDIS_CA_FILE": other}
    said = refused(cluster, "ml_worker", changed)
    assert "the broker at MEDISCAN_BROKER_URL shows a certificate that we do not trust" in said


@pytest.fixture
def valkey_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("valkey").url)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("server", "word"), [("REDIS", "ledger"), ("BROKER", "broker")])
def test_a_wrong_password_is_one_line_without_it(
    cluster: SecuredCluster, service: str, server: str, word: str
) -> None:
    variable = f"MEDISCAN_{server}_URL"
    right = cluster.login(service)[variable]
    password = right.split(":")[2].split("@")[0]
    said = refused(cluster, service, {variable: right.replace(password, "planted-password")})
    assert f"the {word} at {variable} refuses the user or the password in it" in said
    assert "planted" not in said


def test_a_ca_file_that_is_not_there_is_one_line(cluster: SecuredCluster, tmp_path: Path) -> None:
    said = refused(cluster, "gateway", {"MEDISCAN_REDIS_CA_FILE": str(tmp_path / "none.pem")})
    assert "MEDISCAN_REDIS_CA_FILE" in said


def refused(cluster: SecuredCluster, service: str, changed: dict[str, str]) -> str:
    """The only line that a service says that does not start."""
    environment = {**os.environ, **cluster.environment(), **cluster.login(service), **changed}
    command = [sys.executable, "-m", *SERVICES[service]]
    ran = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1, ran.stderr
    [line] = (ran.stdout + ran.stderr).splitlines()
    assert line.startswith("mediscan: ")
    return line
