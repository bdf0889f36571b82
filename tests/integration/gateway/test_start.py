"""Starting and stopping the process: one clear line, or a URL."""

import signal
import socket
from pathlib import Path

import pytest

from tests.integration.gateway.process import House, run_to_end


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"HOST": "0.0.0.0"}, "python -m mediscan keys create"),
        ({"REDIS_URL": "unix:///nowhere/valkey.sock"}, "the ledger at MEDISCAN_REDIS_URL does not answer"),
        ({"REDIS_URL": "scroll://library"}, "MEDISCAN_REDIS_URL is not a Redis URL"),
        ({"BLOB_URL": "ftp://attic"}, "MEDISCAN_BLOB_URL must be"),
        ({"PORT": "http"}, "MEDISCAN_PORT"),
    ],
)
def test_a_set_up_that_cannot_work_is_one_line_and_exit_status_1(
    house: House, tmp_path: Path, changed: dict[str, str], line: str
) -> None:
    variables = {f"MEDISCAN_{name}": value for name, value in changed.items()}
    environment = house.environment | {"MEDISCAN_STARTUP_TIMEOUT_S": "0.5"} | variables
    status, output = run_to_end(environment, tmp_path / "log")
    assert status == 1
    assert len(output.splitlines()) == 1, output
    assert output.startswith("mediscan: ")
    assert line in output


def test_a_taken_port_is_one_line_and_exit_status_1(house: House, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output = run_to_end(house.environment | {"MEDISCAN_PORT": str(port)}, tmp_path / "log")
    assert status == 1
    assert output == f"mediscan: port {port} on 127.0.0.1 is already taken (MEDISCAN_PORT)\n"


def test_it_stops_cleanly_when_told_to() -> None:
    with House(auth="keys", host="0.0.0.0") as house:
        assert "there is no API key yet" in house.log()
        house.process.send_signal(signal.SIGTERM)
        assert house.process.wait(timeout=10) == 0
        assert "Traceback" not in house.log()
