"""Gemini in trouble under load, two Gemini workers: few calls go to waste, no job is lost, and all is well after."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from embedded.layout import SERVICES
from shared.names import Key
from tests.fake_gemini import Behaviour, FakeGemini, Kind
from tests.support.bundles import copy_committed
from tests.support.cluster import Cluster
from tests.support.gemini_outage import NO_OUTAGE, QUICK_CIRCUIT, ride_out
from tests.support.images import scan
from tests.support.waiting import wait_until

#: A hang is known for one only when its time is up; where nothing opens there is less to see.
_SECONDS = {**dict.fromkeys(NO_OUTAGE, 1), Kind.HANG: 4, Kind.TRICKLE: 4}
_TWO_WORKERS = (*SERVICES, "gemini_worker@2")


@pytest.fixture(scope="module")
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as fake:
        yield fake


@pytest.fixture(scope="module")
def environment(gemini: FakeGemini, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    models = tmp_path_factory.mktemp("models")
    copy_committed(models)
    return {
        "GEMINI_ENABLED": "true",
        "GEMINI_API_KEY": "test-key",
        "GEMINI_BASE_URL": gemini.base_url,
        "GEMINI_ATTEMPTS": "2",
        # More than a good answer takes on a busy machine.
        "GEMINI_TIMEOUT_S": "2",
        "GEMINI_GRACE_S": "4",
        "MODELS_DIR": str(models),
        **QUICK_CIRCUIT,
    }


@pytest.fixture(scope="module", params=["google-genai", "google-generativeai"])
def cluster(
    request: pytest.FixtureRequest, gemini: FakeGemini, environment: dict[str, str]
) -> Iterator[Cluster]:
    gemini.behave(Behaviour())
    with Cluster(services=_TWO_WORKERS, GEMINI_CLIENT=request.param, **environment) as running:
        both_read(running)
        yield running


def both_read(cluster: Cluster) -> None:
    """Wait for both workers, which import their library before they are alive."""
    wait_until(
        lambda: cluster.http.get("/readyz").json()["workers"]["gemini"] == 2, timeout_s=60, what="two workers"
    )


@pytest.fixture(autouse=True)
def _closed_circuit(request: pytest.FixtureRequest) -> None:
    """Each outage comes out of the blue."""
    if "cluster" in request.fixturenames:
        with request.getfixturevalue("cluster").ledger_server.client() as client:
            client.delete(Key.GEMINI_CIRCUIT, Key.GEMINI_CIRCUIT_WINDOW)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.ANSWER])
def test_an_outage_of_any_kind_is_ridden_out(cluster: Cluster, gemini: FakeGemini, kind: Kind) -> None:
    outage = ride_out(cluster, gemini, Behaviour(kind), seconds=_SECONDS.get(kind, 2))
    assert outage.problems() == [], outage


def test_an_outage_is_probed_and_shown_until_it_is_over(cluster: Cluster, gemini: FakeGemini) -> None:
    def shown() -> tuple[httpx.Response, str]:
        answer = cluster.http.get("/readyz")
        return answer, answer.json()["gemini_circuit"]["state"]

    gemini.behave(Behaviour(Kind.BAD_KEY))
    cluster.run(scan())
    answer, state = shown()
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["degraded"]) == ("degraded", ["gemini_circuit"])
    assert (state, answer.json()["gemini_circuit"]["cause"]) == ("open", "key_rejected")
    seen = len(gemini.requests)

    def probed() -> bool:
        cluster.run(scan())
        return len(gemini.requests) >= seen + 2

    wait_until(probed, timeout_s=30, what="two probes")
    gemini.behave(Behaviour())
    wait_until(lambda: cluster.run(scan())["readings"]["gemini"]["state"] == "done", timeout_s=30)
    assert shown()[1] == "closed"


def test_a_probe_whose_worker_dies_makes_room_for_another(cluster: Cluster, gemini: FakeGemini) -> None:
    gemini.behave(Behaviour(Kind.BAD_KEY))
    cluster.run(scan())
    gemini.behave(Behaviour(Kind.HANG), Behaviour())
    with cluster.ledger_server.client() as client:

        def asked() -> bool:
            cluster.submit(scan())
            return bool(client.hget(Key.GEMINI_CIRCUIT, "state") == "half_open")

        wait_until(asked, timeout_s=30, what="a probe is out")
        for name in ("gemini_worker", "gemini_worker@2"):
            cluster.kill(name)
        for name in ("gemini_worker", "gemini_worker@2"):
            cluster.start(name)
        wait_until(
            lambda: cluster.run(scan())["readings"]["gemini"]["state"] == "done",
            timeout_s=90,
            what="Gemini reads again",
        )
        assert client.hget(Key.GEMINI_CIRCUIT, "state") == "closed"
    both_read(cluster)


def test_two_workers_keep_one_rate_and_one_budget(gemini: FakeGemini, environment: dict[str, str]) -> None:
    per_minute, budget = 240, 12
    limits = {
        "GEMINI_REQUESTS_PER_MINUTE": str(per_minute),
        "GEMINI_DAILY_BUDGET": str(budget),
        "GEMINI_TIMEOUT_S": "5",  # time to wait for a turn
        "GEMINI_GRACE_S": "10",
    }
    gemini.behave(Behaviour(Kind.OVERLOADED), Behaviour())  # the first is tried again, which counts too
    with Cluster(services=_TWO_WORKERS, **{**environment, **limits}) as cluster:
        both_read(cluster)
        seen, began, day = len(gemini.requests), time.time(), datetime.now(UTC).date()
        reasons: set[str] = set()

        def spent() -> bool:
            ids = [cluster.submit(scan())["id"] for _ in range(10)]
            readings = [cluster.finished(job_id)["readings"]["gemini"] for job_id in ids]
            reasons.update(reading.get("reason", reading["state"]) for reading in readings)
            return "daily_budget_spent" in reasons

        wait_until(spent, timeout_s=90, what="the budget is spent")
        requests = gemini.requests[seen:]
        assert {"done", "daily_budget_spent"} <= reasons
        assert len(requests) <= 1 + per_minute / 60 * (requests[-1].received_at - began)
        days = 1 + (datetime.now(UTC).date() - day).days
        assert budget <= len(requests) <= budget * days
