"""The OpenAPI document against the gateway that serves it: schemathesis makes requests from it and checks answers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.gateway.key_admin import KeyAdmin
from shared.names import Stage
from tests.integration.gateway.process import House
from tests.support.fuzzing import TIMES
from tests.support.waiting import wait_until

#: Requests made from each operation's description, in each phase; it adds those of the document's own limits.
_EXAMPLES = 10

_ROOT = Path(__file__).parents[3]
_CONFIG = _ROOT / "tests/support/schemathesis.toml"

#: As the configuration says, and why.
_LEFT_OUT = {"/dicomweb/studies", "/dicomweb/studies/{study}"}

#: The same requests in every run of `make test`, others in every `make fuzz`.
_FIXED = ("--generation-deterministic", "--no-color", "--warnings", "off") if TIMES == 1 else ("--no-color",)


@pytest.fixture
def house() -> Iterator[House]:
    """A gateway that takes keys, with everything alive that `/readyz` asks for."""
    with House(auth="keys", heartbeat_ttl_s=3600, max_wait_s=1, max_stream_s=1) as house:
        for stage in Stage:
            house.ledger.heartbeat(stage, f"{stage}@nowhere")
        house.ledger.reaper_beat()
        house.ledger.offer_models({"model/1": json.dumps({"labels": []})}, default="model/1")
        yield house


def test_the_gateway_does_what_its_document_says(house: House, tmp_path: Path) -> None:
    _, token = KeyAdmin(house.blobs).create(tenant="ward-7", scopes=("submit", "read", "admin"))
    authorization = f"Bearer {token.text}"
    wait_until(lambda: house.http.get("/v1/models", headers={"authorization": authorization}).is_success)
    document = house.http.get("/openapi.json", headers={"authorization": authorization})
    (tmp_path / "openapi.json").write_text(document.text)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(_CONFIG)),
        *("run", "openapi.json", "--url", house.url, "--header", f"Authorization: {authorization}"),
        *("--checks", "all", "--max-examples", str(_EXAMPLES * TIMES), *_FIXED),
    ]
    found = {**os.environ, "PYTHONPATH": str(_ROOT)}
    run = subprocess.run(command, cwd=tmp_path, env=found, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    tested = [found for path, found in json.loads(document.text)["paths"].items() if path not in _LEFT_OUT]
    assert f"Tested: {sum(map(len, tested))}" in run.stdout
    assert "unexpected" not in house.log()
