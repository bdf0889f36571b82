"""Every Dockerfile and every service of docker-compose.yml is shut as far as it goes; tests/e2e looks inside."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

_ROOT = Path(__file__).parents[2]
_COMPOSE: dict[str, Any] = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_DOCKERFILES = sorted((*_ROOT.glob("services/*/Dockerfile"), *_ROOT.glob("deploy/*/Dockerfile")))
_PYTHON = ("gateway", "ml_worker", "gemini_worker", "fusion", "reaper")


def _lines(dockerfile: Path) -> list[str]:
    joined = dockerfile.read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("dockerfile", _DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_runs_as_a_numbered_user_without_a_shell_in_between(dockerfile: Path) -> None:
    lines = _lines(dockerfile)
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    after = lines[lines.index("USER 10001:10001") + 1 :]
    assert after, "nothing is started"
    assert all(re.fullmatch(r'(CMD|ENTRYPOINT) \[".*\]', line) for line in after), (
        "sh -c would stand in between"
    )
    assert not any(line.startswith(("ADD", "VOLUME", "ARG")) for line in lines)


@pytest.mark.parametrize("dockerfile", _DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_holds_no_secret_and_only_hashed_packages(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    assert not re.search(r"(?i)(password|api_key|token)\s*=", text)
    for line in _lines(dockerfile):
        assert "pip install" not in line or "--require-hashes" in line


@pytest.mark.parametrize("name", _SERVICES)
def test_a_container_may_do_nothing_that_it_need_not(name: str) -> None:
    service = _SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"]
    assert service["mem_limit"]
    assert service["init"] is True
    assert not service.keys() & {"privileged", "cap_add", "devices", "pid", "ipc", "user", "userns_mode"}


@pytest.mark.parametrize("name", _SERVICES)
def test_a_container_mounts_nothing_of_the_host(name: str) -> None:
    sources = [volume.split(":")[0] for volume in _SERVICES[name].get("volumes", []) if not _is_ours(volume)]
    assert set(sources) <= _COMPOSE["volumes"].keys()


def _is_ours(volume: str) -> bool:
    """A file of this repository that cannot be written to."""
    return volume.startswith("./deploy/observability/") and volume.endswith(":ro")


def test_no_secret_is_a_variable() -> None:
    for name, service in _SERVICES.items():
        given = service.get("environment", {})
        secret = [
            variable
            for variable in given
            if re.search("REDIS_URL|BROKER_URL|API_KEY|PASSWORD|TOKEN", variable)
        ]
        assert secret == [], name


def test_the_file_of_every_secret_that_is_not_set_comes_with_the_source_and_is_empty() -> None:
    """Without one compose starts nothing that mounts it."""
    defaults = {
        name: secret["file"].split(":-")[1].rstrip("}") for name, secret in _COMPOSE["secrets"].items()
    }
    assert len(defaults) == 4
    assert {name: (_ROOT / file).read_bytes() for name, file in defaults.items()} == dict.fromkeys(
        defaults, b""
    )


def test_each_service_mounts_its_own_credentials_alone_and_cannot_change_them() -> None:
    for name in (*_PYTHON, "ledger", "broker"):
        mounted = [volume for volume in _SERVICES[name]["volumes"] if volume.startswith("credentials_")]
        assert mounted == [f"credentials_{name}:/run/credentials:ro"]


def test_every_user_of_the_servers_is_a_service_with_a_folder() -> None:
    makes = {volume.split(":")[0] for volume in _SERVICES["credentials"]["volumes"]}
    assert makes == {f"credentials_{name}" for name in (*_PYTHON, "ledger", "broker")}
    for server in ("ledger", "broker"):
        rights = (_ROOT / "deploy" / "valkey" / f"{server}.acl").read_text()
        users = set(re.findall(r"^user (\S+)", rights, re.M))
        assert users == {*_PYTHON, "default", "health", "operator"}
        assert "user default off\n" in rights


def test_only_the_gateway_is_published_and_to_this_host() -> None:
    published = {name: service["ports"] for name, service in _SERVICES.items() if "ports" in service}
    assert published.keys() == {"gateway", "grafana"}
    assert _SERVICES["grafana"]["profiles"] == ["observability"]
    assert all(port.startswith("127.0.0.1:") for port in published["gateway"])


def test_the_servers_are_on_a_network_without_a_way_out() -> None:
    assert _COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("ledger", "broker", "ml_worker", "fusion"):
        assert _SERVICES[name]["networks"] == ["inside"]
    for name in ("gemini_worker", "reaper"):
        assert _SERVICES[name]["networks"] == ["inside", "outside"]
    assert _SERVICES["credentials"]["network_mode"] == "none"
