"""What a job of another tenant costs to look for: exactly what one costs that never was."""

import dataclasses
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import redis
from fastapi import FastAPI

from services.gateway.api_keys import Token
from services.gateway.app import create_app
from services.gateway.key_admin import KeyAdmin
from services.gateway.resources import open_resources
from shared.blob_store import BlobStore
from shared.ledger import Ledger
from shared.names import Blob, JobRef, blob_path, new_job_id
from tests.integration.conftest import MakeLedger
from tests.support.samples import new_job
from tests.support.valkey import Server
from tests.unit.gateway.forms import settings
from tests.unit.gateway.test_app import ask

_ROUNDS = 300
_OUR_OWN_LOOKING = {"cmdstat_info", "cmdstat_config|resetstat", "cmdstat_client|setinfo", "cmdstat_hello"}


class CountingBlobs(BlobStore):
    """The real store, counted."""

    asked: Counter[str]

    @classmethod
    def over(cls, blobs: BlobStore) -> "CountingBlobs":
        made = cls(blobs._store, blobs._root)
        made.asked = Counter()
        return made

    def get(self, path: str) -> bytes:
        self.asked["get"] += 1
        return super().get(path)

    def paths(self, prefix: str) -> list[str]:
        self.asked["paths"] += 1
        return super().paths(prefix)

    def put(self, path: str, data: bytes, *, durable: bool = True) -> None:
        self.asked["put"] += 1
        super().put(path, data, durable=durable)


class Inside:
    """The application in this process, over a real ledger and a real folder, both counted."""

    def __init__(self, valkey: Server, folder: Path) -> None:
        chosen = settings(redis_url=valkey.url, blob_url=f"file://{folder}", auth="keys", key_cache_s=3600)
        opened = open_resources(chosen)
        self.blobs = CountingBlobs.over(opened.blobs)
        self.resources = dataclasses.replace(opened, blobs=self.blobs)
        self.app: FastAPI = create_app(self.resources)
        self._valkey = valkey

    def ask(self, method: str, path: str, token: Token) -> int:
        return ask(self.app, path, method, {"authorization": f"Bearer {token.text}"})[0]

    def cost(self, method: str, path: str, token: Token) -> tuple[int, Counter[str], dict[str, int]]:
        """Status, blob store operations, and ledger commands of one request."""
        with self._valkey.client() as client:
            client.config_resetstat()
            self.blobs.asked.clear()
            status = self.ask(method, path, token)
            return status, Counter(self.blobs.asked), _commands(client)


def _commands(client: "redis.Redis") -> dict[str, int]:
    found = cast(dict[str, dict[str, int]], client.info("commandstats"))
    return {name: stats["calls"] for name, stats in found.items() if name not in _OUR_OWN_LOOKING}


@pytest.fixture
def inside(valkey: Server, tmp_path: Path) -> Iterator[Inside]:
    made = Inside(valkey, tmp_path)
    yield made
    made.resources.close()


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> Ledger:
    return make_ledger()


@pytest.fixture
def mine(inside: Inside) -> Token:
    """A key of the tenant `mine`, known to the gateway."""
    _, token = KeyAdmin(inside.blobs).create(tenant="mine", scopes=["read", "submit"])
    assert inside.ask("GET", "/v1/models", token) == 200
    return token


@pytest.fixture
def targets(inside: Inside, ledger: Ledger) -> dict[str, str]:
    """Ids of jobs that `mine` must not tell apart."""
    live, archived = (JobRef("theirs", new_job_id()) for _ in range(2))
    ledger.create(live, new_job())
    inside.blobs.put(blob_path(live, Blob.IMAGE), b"x")
    inside.blobs.put(blob_path(archived, Blob.RECORD), b"{}")
    return {"live": live.job_id, "archived": archived.job_id, "never was": new_job_id()}


@pytest.mark.parametrize(
    ("method", "suffix"),
    [
        ("GET", ""),
        ("GET", "/heatmap.png"),
        ("GET", "/preview.jpg"),
        ("GET", "/report.pdf"),
        ("GET", "/events"),
        ("GET", "/deliveries"),
        ("POST", "/cancel"),
    ],
)
def test_the_same_work_is_done(
    inside: Inside, mine: Token, targets: dict[str, str], method: str, suffix: str
) -> None:
    inside.ask(method, f"/v1/jobs/{new_job_id()}{suffix}", mine)  # the scripts are loaded now
    costs = [inside.cost(method, f"/v1/jobs/{job_id}{suffix}", mine) for job_id in targets.values()]
    assert costs == [costs[0]] * len(targets)
    status, blobs, commands = costs[0]
    assert (status, blobs) == (404, {"get": 1})
    assert sum(commands.values()) > 0


def test_times_do_not_tell(inside: Inside, mine: Token, targets: dict[str, str]) -> None:
    """How often a look at one kind takes longer than a look at another: as often as not, within chance.

    With 300 interleaved pairs chance alone stays within 0.15 of one half (six standard deviations); no
    absolute time matters.
    """
    took: dict[str, list[float]] = {kind: [] for kind in targets}
    for _ in range(_ROUNDS):
        for kind, job_id in random.sample(list(targets.items()), len(targets)):
            began = time.perf_counter()
            assert inside.ask("GET", f"/v1/jobs/{job_id}", mine) == 404
            took[kind].append(time.perf_counter() - began)
    for kind in ("live", "archived"):
        longer = [theirs > none for theirs in took[kind] for none in took["never was"]]
        assert abs(sum(longer) / len(longer) - 0.5) < 0.15, kind
