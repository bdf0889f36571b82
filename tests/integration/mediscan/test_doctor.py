"""`mediscan doctor`: every link of the chain, broken once."""

import json
from pathlib import Path

import pytest

from tests.integration.gateway.process import House
from tests.integration.mediscan.shell import run, spawn
from tests.support.cluster import Cluster
from tests.support.trouble import Trouble


def answer(body: str, *, status: int = 200, date: str = "") -> bytes:
    """A whole answer in JSON."""
    dated = f"Date: {date}\r\n" if date else ""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{dated}Content-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n{body}".encode()


def test_all_is_well(cluster: Cluster) -> None:
    done = run(cluster.url, "doctor")
    assert done.exit_code == 0, done.stdout
    assert "FAIL" not in done.stdout
    for part in (
        "answers",
        "clocks agree",
        "API version 1",
        "default brain-mri",
        "workers: ml 1",
        "settings of gateway",
    ):
        assert part in done.stdout


def test_a_gateway_without_workers(tmp_path: Path) -> None:
    with House() as house:
        done = run(house.url, "doctor", "--json")
    assert done.exit_code == 3
    found = [json.loads(line) for line in done.stdout.splitlines()]
    todos = {line["finding"]: line["todo"] for line in found if line["level"] == "fail"}
    assert "start an ML worker" in todos["missing: ml worker"]
    assert todos["no model is offered"]


def test_a_key_is_wanted(tmp_path: Path) -> None:
    with House(auth="keys") as house:
        done = run(house.url, "doctor")
    assert done.exit_code == 4
    assert "keys create" in done.stdout


@pytest.mark.parametrize(("url", "status"), [("http://127.0.0.1:9", 3), ("nonsense", 2)])
def test_no_server(url: str, status: int) -> None:
    done = run(url, "--retry-for", "0.2", "doctor")
    assert done.exit_code == status
    assert "FAIL" in done.stdout


def test_clock_and_api_that_do_not_fit(trouble: Trouble) -> None:
    trouble.script = [
        answer('{"status": "ok"}', date="Mon, 01 Jan 2024 00:00:00 GMT"),
        answer('{"info": {"title": "Something", "version": "9"}}'),
    ]
    done = run(trouble.url, "doctor")
    assert done.exit_code == 0
    assert "behind this machine's" in done.stdout
    assert "the server says Something 9" in done.stdout


def test_settings_of_this_machine_that_no_service_could_start_with(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDISCAN_MAX_PIXELS", "none")
    done = spawn(cluster.url, "doctor", folder=tmp_path)
    assert done.returncode == 2
    assert "FAIL  settings of gateway" in done.stdout
    assert "MEDISCAN_MAX_PIXELS" in done.stdout
