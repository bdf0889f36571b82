"""Event streams and long-polls of jobs that real workers do, and that are done although something dies."""

from collections.abc import Iterator

import pytest

from shared.names import Key
from tests.fake_gemini import Behaviour, FakeGemini, Kind
from tests.support.bundles import copy_committed
from tests.support.cluster import Cluster
from tests.support.event_stream import Stream
from tests.support.images import broken_inside, scan, slow_scan
from tests.support.waiting import wait_until

_READ = {"queued", "ml.started", "ml.done", "gemini.started", "fusion.started", "completed"}


@pytest.fixture(scope="module")
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as fake:
        yield fake


@pytest.fixture(scope="module")
def cluster(gemini: FakeGemini, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    models = tmp_path_factory.mktemp("models")
    copy_committed(models)
    settings = {
        "GEMINI_ENABLED": "true",
        "GEMINI_API_KEY": "test-key",
        "GEMINI_BASE_URL": gemini.base_url,
        "GEMINI_GRACE_S": "20",
        "GEMINI_TIMEOUT_S": "15",
        "MODELS_DIR": str(models),
    }
    with Cluster(**settings) as running:
        yield running


@pytest.fixture(autouse=True)
def _well(cluster: Cluster, gemini: FakeGemini) -> None:
    gemini.behave(Behaviour())
    with cluster.ledger_server.client() as client:
        client.delete(Key.GEMINI_CIRCUIT, Key.GEMINI_CIRCUIT_WINDOW)


def check_order(types: list[str]) -> None:
    assert types[0] == "queued"
    assert types.index("ml.started") < types.index("ml.done") < types.index("fusion.started")
    settled = next(kind for kind in types if kind in {"gemini.done", "gemini.unavailable"})
    assert types.index("gemini.started") < types.index(settled) < types.index("fusion.started")
    assert types[-2:] == ["fusion.started", "completed"]


def test_both_readers(cluster: Cluster) -> None:
    types = Stream(cluster.url, cluster.submit(scan())["id"]).ended()
    check_order(types)
    assert set(types) == _READ | {"gemini.done"}


def test_gemini_fails(cluster: Cluster, gemini: FakeGemini) -> None:
    gemini.behave(Behaviour(Kind.BAD_KEY))
    stream = Stream(cluster.url, cluster.submit(scan())["id"])
    check_order(stream.ended())
    said = {event.type: event.data for event in stream.events}
    assert said["gemini.unavailable"] == {"reason": "key_rejected"}


def test_an_image_that_cannot_be_read(cluster: Cluster) -> None:
    types = Stream(cluster.url, cluster.submit(broken_inside())["id"]).ended()
    assert types[-1] == "failed"
    assert "ml.done" not in types


def test_a_worker_is_killed_and_the_job_done_by_another(cluster: Cluster) -> None:
    job = cluster.submit(slow_scan())
    stream = Stream(cluster.url, job["id"])
    stream.saw("ml.started")
    cluster.kill("ml_worker")
    cluster.start("ml_worker")
    types = stream.ended()
    check_order(types)
    assert types.count("ml.started") == types.count("ml.done") == 1


def test_the_ledger_is_killed_while_streams_and_long_polls_wait(cluster: Cluster) -> None:
    cluster.kill("ml_worker")
    job = cluster.submit(scan())
    stream = Stream(cluster.url, job["id"])
    stream.saw("queued")
    cluster.ledger_server.restart(kill=True)
    cluster.start("ml_worker")
    ended = cluster.http.get(f"/v1/jobs/{job['id']}", params={"wait": 60}, timeout=70)
    assert (ended.status_code, ended.json()["state"]) == (200, "completed")
    check_order(stream.ended())


def test_a_gateway_is_killed_and_another_goes_on_with_the_stream(cluster: Cluster) -> None:
    cluster.kill("ml_worker")
    job = cluster.submit(scan())
    first = Stream(cluster.url, job["id"])
    first.saw("queued")
    cluster.kill("gateway")
    wait_until(first.is_over, what="the stream is cut")
    cluster.start("gateway")
    cluster.start("ml_worker")
    cluster.wait_ready()
    second = Stream(cluster.url, job["id"], after=first.events[-1].id)
    check_order(first.types + second.ended())
