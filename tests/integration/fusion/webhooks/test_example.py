"""The receiver that docs/webhooks.md shows takes what we send, and nothing else."""

import re
import threading
import time
from collections.abc import Iterator
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.fusion.webhooks.sender import Answer, Sender
from services.fusion.webhooks.signing import signed_headers
from shared.contracts import DeliveryOutcome
from shared.webhooks.destinations import Destinations
from shared.webhooks.secrets import new_secret

_PAGE = Path(__file__).parents[4] / "docs" / "webhooks.md"
_BODY = b'{"type":"job.completed","data":{"id":"job_1"}}'


@pytest.fixture
def secret() -> str:
    return new_secret("default").secret.get_secret_value()


@pytest.fixture
def url(secret: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (code,) = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    found: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, str(_PAGE), "exec"), found)  # noqa: S102 - our own page
    with HTTPServer(("127.0.0.1", 0), found["Receiver"]) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join(20)


def send(url: str, secret: str) -> Answer:
    headers = signed_headers([secret], "msg_1", int(time.time()), _BODY)
    return Sender(Destinations.parse("", http_loopback=True), timeout_s=10).send(url, headers, _BODY)


def test_it_takes_ours_and_drops_a_repeat(url: str, secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert send(url, secret) == Answer(DeliveryOutcome.DELIVERED, 204)
    assert capsys.readouterr().out == "job.completed job_1\n"


def test_it_refuses_what_somebody_else_signed(url: str) -> None:
    other = new_secret("default").secret.get_secret_value()
    assert send(url, other) == Answer(DeliveryOutcome.REJECTED, 400)
