"""What the running containers may do, hold and reveal."""

import pytest

from tests.e2e.stack import KEY, PYTHON_SERVICES, SERVICES, Stack, docker, inspect
from tests.support.waiting import wait_until

_USER = "10001"


def _succeeds(container: str, *command: str) -> bool:
    """Whether a command inside the container ends well. docker's own failures are not its answer."""
    script = f"{' '.join(command)} >/dev/null 2>&1 && echo yes || echo no"
    return docker("exec", container, "sh", "-c", script).strip() == "yes"


@pytest.mark.parametrize("service", SERVICES)
def test_no_root_no_capability_no_writable_root(stack: Stack, service: str) -> None:
    container = stack.container(service)
    assert docker("exec", container, "id", "-u").strip() == _USER
    host = inspect(container)["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert not _succeeds(container, "touch", "/usr/planted")
    assert _succeeds(container, "touch", "/tmp/scratch")  # noqa: S108 - a tmpfs inside the container


@pytest.mark.parametrize("service", SERVICES)
def test_healthy(stack: Stack, service: str) -> None:
    container = stack.container(service)

    def status() -> str:
        return str(inspect(container)["State"]["Health"]["Status"])

    wait_until(lambda: status() != "starting", timeout_s=90, what=f"{service} is judged")
    assert status() == "healthy", inspect(container)["State"]["Health"]["Log"][-1]


@pytest.mark.parametrize("service", PYTHON_SERVICES)
def test_no_tensorflow(stack: Stack, service: str) -> None:
    container = stack.container(service)
    assert _succeeds(container, "python", "-c", "'import pydantic'"), "the probe itself works"
    for module in ("tensorflow", "keras"):
        assert not _succeeds(container, "python", "-c", f"'import {module}'")
    installed = docker("exec", container, "python", "-m", "pip", "list").lower()
    assert "celery" in installed
    assert "tensorflow" not in installed
    assert "keras" not in installed


@pytest.mark.parametrize("service", ["gateway", "gemini_worker", "fusion", "reaper"])
def test_only_the_ml_worker_holds_litert(stack: Stack, service: str) -> None:
    assert _succeeds(stack.container("ml_worker"), "python", "-c", "'import ai_edge_litert'")
    assert not _succeeds(stack.container(service), "python", "-c", "'import ai_edge_litert'")


@pytest.mark.parametrize("service", PYTHON_SERVICES)
def test_a_service_brings_only_its_own_code(stack: Stack, service: str) -> None:
    folders = set(docker("exec", stack.container(service), "ls", "/app/services").split())
    own = "fusion" if service == "reaper" else service
    assert folders - {"__init__.py", "__pycache__"} == {own}
    assert not _succeeds(stack.container(service), "ls", f"/app/services/{own}/training")


def test_only_the_gateway_is_published_and_only_to_this_host(stack: Stack) -> None:
    published = {service: _published(stack.container(service)) for service in SERVICES}
    assert published.pop("gateway") == {"127.0.0.1"}
    assert not any(published.values())


def test_ledger_and_broker_are_on_the_inner_network_alone(stack: Stack) -> None:
    for service in ("ledger", "broker"):
        (network,) = inspect(stack.container(service))["NetworkSettings"]["Networks"]
        assert inspect(network)["Internal"]


def test_only_the_gemini_worker_has_the_key(stack: Stack) -> None:
    for service in SERVICES:
        for container in stack.containers(service):
            assert KEY not in docker("inspect", container)
            image = inspect(container)["Image"]
            assert KEY not in docker("inspect", image) + docker("history", "--no-trunc", image)
            sees_key = _succeeds(container, "grep", "-qr", KEY, "/run/secrets")
            assert sees_key == (service == "gemini_worker")


def test_no_password_is_seen_from_outside_and_each_service_sees_its_own(stack: Stack) -> None:
    passwords = {
        service: docker("exec", stack.container(service), "cat", "/run/credentials/ledger.password")
        for service in PYTHON_SERVICES
    }
    assert len(set(passwords.values())) == len(PYTHON_SERVICES)
    for service in SERVICES:
        seen = docker("inspect", stack.container(service)) + docker("logs", stack.container(service))
        assert not [name for name, password in passwords.items() if password in seen]
        files = docker("exec", stack.container(service), "sh", "-c", "cat /run/credentials/*")
        assert {name for name, password in passwords.items() if password in files} <= {service}
        assert not _succeeds(stack.container(service), "touch", "/run/credentials/planted")


@pytest.mark.parametrize("server", ["ledger", "broker"])
def test_nobody_gets_in_without_a_password(stack: Stack, server: str) -> None:
    said = docker("exec", stack.container(server), "sh", "-c", "valkey-cli ping 2>&1 || true")
    assert "NOAUTH" in said


def test_the_gemini_worker_cannot_change_what_is_stored(stack: Stack) -> None:
    assert not _succeeds(stack.container("gemini_worker"), "touch", "/blobs/planted")
    assert _succeeds(stack.container("fusion"), "touch", "/blobs/probe")


def _published(container: str) -> set[str]:
    ports = inspect(container)["NetworkSettings"]["Ports"]
    return {binding["HostIp"] for bindings in ports.values() for binding in bindings or []}
