"""A key made on the server's machine, used from another."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import mediscan
from tests.integration.gateway.process import House
from tests.integration.mediscan.shell import ROOT, run
from tests.support.waiting import wait_until
from tests.unit.gateway import images


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A gateway that wants keys."""
    with House(auth="keys") as running:
        yield running


def new_key(house: House, *scopes: str) -> str:
    """What `mediscan keys create` prints, once the gateway has taken notice of it."""
    chosen = [part for scope in scopes for part in ("--scope", scope)]
    command = [sys.executable, "-m", "mediscan", "keys", "create", "--tenant", "ward-7", *chosen]
    ours = {**os.environ, **house.environment}
    made = subprocess.run(command, env=ours, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    key = made.stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    wait_until(
        lambda: house.http.get("/v1/models", headers=headers).status_code != 401, what="the key is known"
    )
    return key


def test_a_key_opens(house: House, connect: Callable[..., Any]) -> None:
    client = connect(house.url, new_key(house))
    job = client.submit(images.png())
    assert client.get(job.id).state == "queued"


def test_a_key_may_do_what_its_scopes_say(house: House, connect: Callable[..., Any]) -> None:
    reader = connect(house.url, new_key(house, "read"))
    with pytest.raises(mediscan.PermissionDeniedError) as caught:
        reader.submit(images.png())
    assert caught.value.code == "scope_missing"


@pytest.mark.parametrize(("key", "code"), [(None, "key_required"), ("mediscan_wrong", "bad_key")])
def test_without_one_nobody_gets_in(
    house: House, connect: Callable[..., Any], key: str | None, code: str
) -> None:
    with pytest.raises(mediscan.AuthenticationError) as caught:
        connect(house.url, key).models()
    assert (caught.value.code, caught.value.status) == (code, 401)
    assert "wrong" not in str(caught.value)


def test_doctor_says_more_to_an_operator(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_API_KEY", new_key(house))
    assert "a key with the scope admin" in run(house.url, "doctor").stdout
    monkeypatch.setenv("MEDISCAN_API_KEY", new_key(house, "admin"))
    assert "missing: ml worker" in run(house.url, "doctor").stdout
