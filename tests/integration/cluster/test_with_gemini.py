"""The whole cluster against a fake Gemini that misbehaves: no failure of it costs a result."""

import json
from collections.abc import Iterator

import pytest

from shared.names import DEFAULT_TENANT, JobRef, Key
from tests.fake_gemini import Behaviour, FakeGemini, Kind
from tests.support.bundles import copy_committed
from tests.support.cluster import Cluster
from tests.support.images import scan
from tests.support.waiting import wait_until

_WITH_KEY = {"GEMINI_ENABLED": "true", "GEMINI_API_KEY": "test-key"}
#: What is said of a call that was not over with the grace.
_GRACE_IS_OVER = "Gemini had not answered when the grace after the ML reading was over."


@pytest.fixture(scope="module")
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as fake:
        yield fake


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models")
    copy_committed(folder)
    return str(folder)


@pytest.fixture(scope="module", params=["google-genai", "google-generativeai"])
def cluster(request: pytest.FixtureRequest, gemini: FakeGemini, models: str) -> Iterator[Cluster]:
    settings = {
        **_WITH_KEY,
        "GEMINI_BASE_URL": gemini.base_url,
        "GEMINI_CLIENT": request.param,
        "MODELS_DIR": models,
        # The reaper has no part in these: it repeats no message, and ends no wait but where a test makes it.
        "GEMINI_GRACE_S": "60",
        "REPUBLISH_AFTER_S": "60",
        "GEMINI_TIMEOUT_S": "3",
    }
    with Cluster(**settings) as running:
        gemini.behave(Behaviour())
        running.run(scan())  # the library is imported at the first reading; the others are timed
        yield running


@pytest.fixture(autouse=True)
def _closed_circuit(request: pytest.FixtureRequest) -> None:
    """What one test's failures taught the workers is none of the next one's business."""
    if "cluster" in request.fixturenames:
        with request.getfixturevalue("cluster").ledger_server.client() as client:
            client.delete(Key.GEMINI_CIRCUIT, Key.GEMINI_CIRCUIT_WINDOW)


def test_both_readings_make_one_result(cluster: Cluster, gemini: FakeGemini) -> None:
    gemini.behave(Behaviour(classification="Positive", p_positive=0.8))
    job = cluster.run(scan())
    assert job["state"] == "completed"
    assert job["readings"]["gemini"]["state"] == "done"
    assert job["result"]["fallback"] is None
    assert job["result"]["agreement"] in {"agree", "disagree"}
    assert [voice["reader"] for voice in job["result"]["provenance"]] == ["ml", "gemini"]
    p_ml = job["readings"]["ml"]["p_positive"]
    assert job["result"]["p_positive"] == pytest.approx(0.7 * p_ml + 0.3 * 0.8)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Kind.RATE_LIMITED, "rate_limited"),
        (Kind.INTERNAL_ERROR, "server_error"),
        (Kind.OVERLOADED, "server_error"),
        (Kind.HANG, "timeout"),
        (Kind.CUT, "connection"),
        (Kind.NOT_JSON, "invalid_response"),
        (Kind.WRONG_SCHEMA, "invalid_response"),
        (Kind.EMPTY_CANDIDATE, "empty_response"),
        (Kind.SAFETY, "blocked"),
        (Kind.BAD_KEY, "key_rejected"),
    ],
)
def test_a_gemini_failure_is_a_stated_fallback(
    cluster: Cluster, gemini: FakeGemini, kind: Kind, reason: str
) -> None:
    gemini.behave(Behaviour(kind))
    asked_before = len(gemini.requests)
    job = cluster.run(scan())
    assert job["state"] == "completed"
    assert job["result"]["fallback"]["reason"] == reason
    assert job["readings"]["gemini"]["reason"] == reason
    with cluster.ledger_server.client() as client:
        stored = client.hgetall(Key.job(JobRef(DEFAULT_TENANT, job["id"])))
    # One call, settled by the worker that made it, and fusion due in that same step: nobody waited for the grace, for
    # another attempt, or for a look of the reaper. The ledger's clock said so, whatever the machine had to do.
    assert len(gemini.requests) == asked_before + 1
    assert json.loads(stored["gemini.reading"])["detail"] != _GRACE_IS_OVER
    settled = max(stored["ml.settled_at"], stored["gemini.settled_at"], key=float)
    assert stored["fusion.published_at"] == settled


def test_an_answer_after_the_grace_changes_nothing(cluster: Cluster, gemini: FakeGemini) -> None:
    before = cluster.counters().get("late:gemini", 0)
    gemini.behave(Behaviour(delay_s=2))
    job = cluster.submit(scan())
    with cluster.ledger_server.client() as client:
        key = f"mediscan:job:default:{job['id']}"
        wait_until(lambda: client.hget(key, "ml.state") == "done", what="the ML reading is there")
        # As if the grace were over: the answer is still on its way.
        client.hset(key, "ml.settled_at", float(client.hget(key, "ml.settled_at") or 0) - 60)
        client.zadd("mediscan:due", {f"default/{job['id']}": 0})
    ended = cluster.finished(job["id"])
    assert ended["result"]["fallback"]["reason"] == "timeout"
    assert ended["readings"]["gemini"]["detail"] == _GRACE_IS_OVER
    wait_until(lambda: cluster.counters().get("late:gemini", 0) > before, what="the late answer is counted")
    assert cluster.job(job["id"]) == ended


def test_without_any_gemini_worker_the_grace_decides() -> None:
    services = ("gateway", "ml_worker", "fusion", "reaper")
    with Cluster(services=services, **_WITH_KEY) as cluster:
        job = cluster.run(scan())
        assert job["state"] == "completed"
        assert job["result"]["fallback"]["reason"] == "no_worker"


def test_a_worker_without_a_key_says_so() -> None:
    with Cluster(GEMINI_ENABLED="true") as cluster:
        assert cluster.run(scan())["result"]["fallback"]["reason"] == "not_configured"
