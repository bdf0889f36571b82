"""Every page of docs/how-to, as printed, against one cluster with a fake Gemini."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.fake_gemini import FakeGemini
from tests.integration.docs.conftest import ROOT
from tests.support import printed
from tests.support.cluster import Cluster
from tests.support.waiting import wait_until

_FOLDER = ROOT / "docs" / "how-to"
PAGES = [page for page in sorted(_FOLDER.glob("*.md")) if page.name != "README.md"]
#: Pages on which the reader starts ML workers of his own in place of the cluster's.
_OWN_WORKERS = {"add-a-model.md"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with FakeGemini() as gemini:
        settings = {
            "GEMINI_ENABLED": "true",
            "GEMINI_API_KEY": "test-key",
            "GEMINI_BASE_URL": gemini.base_url,
            "GEMINI_TIMEOUT_S": "20",
            "GEMINI_GRACE_S": "25",
            "WEBHOOK_HTTP_LOOPBACK": "true",
        }
        with Cluster(**settings) as running:
            yield running


def free_port() -> int:
    """Nothing else listens there now; whatever else may happen to it, our receiver would say so."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


#: A terminal as wide as the pages show; and a lease as long as is usual, which a worker that is stopped may take.
_WHERE = {"COLUMNS": "100", "MEDISCAN_ML_LEASE_S": "30"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_does_what_it_says(cluster: Cluster, checkout: Path, page: Path) -> None:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MEDISCAN_")}
    settings, port = dict(cluster.environment()), free_port()
    instead = {
        "http://127.0.0.1:8000": cluster.url,
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        '("127.0.0.1", 8080)': f'("127.0.0.1", {port})',
        "unix://$PWD/var/run/ledger.sock": settings["MEDISCAN_REDIS_URL"],
        "redis+socket://$PWD/var/run/broker.sock": settings["MEDISCAN_BROKER_URL"],
        "file://$PWD/var/blobs": settings["MEDISCAN_BLOB_URL"],
    }
    # Those of the page before are heard of for some seconds more, and this one may count them.
    wait_until(lambda: '"ml":1' in cluster.http.get("/readyz").text, what="one ML worker is left")
    if page.name in _OWN_WORKERS:
        cluster.kill("ml_worker")
    try:
        printed.run(page, checkout, environment={**ours, **settings, **_WHERE}, instead=instead)
    finally:
        if page.name in _OWN_WORKERS:
            cluster.start("ml_worker")
            cluster.wait_ready()


def test_every_page_is_in_the_index() -> None:
    index = (_FOLDER / "README.md").read_text()
    assert [page.name for page in PAGES if f"]({page.name})" not in index] == []
    assert "](how-to/README.md)" in (ROOT / "docs" / "tutorial.md").read_text()
