"""No password and no key is in any log, whatever fails: every service, at its most talkative, against dead servers."""

from collections.abc import Iterator

import pytest

from tests.fake_gemini import Behaviour, FakeGemini, Kind
from tests.support.images import scan
from tests.support.secured import SecuredCluster, on_sockets
from tests.support.waiting import wait_until

_KEY = "planted-gemini-key-5f0c2e"


@pytest.fixture(scope="module", params=["json", "text"])
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredCluster]:
    settings = {
        "GEMINI_ENABLED": "true",
        "GEMINI_API_KEY": _KEY,
        "GEMINI_GRACE_S": "10",
        "GEMINI_TIMEOUT_S": "8",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": str(request.param),
    }
    with FakeGemini() as gemini:
        settings["GEMINI_BASE_URL"] = gemini.base_url
        gemini.behave(Behaviour(Kind.BAD_KEY))  # it echoes the key, as Google's did
        with on_sockets(tmp_path_factory.mktemp("credentials"), **settings) as running:
            yield running


def test_no_log_holds_a_password_or_the_key(cluster: SecuredCluster) -> None:
    wait_until(lambda: cluster.http.get("/readyz").json()["workers"]["gemini"], timeout_s=60)
    assert cluster.run(scan())["result"]["fallback"]["reason"] == "key_rejected"
    _survive_dead_servers(cluster)
    logs = cluster.logs()
    for name in ("gateway", "ml_worker", "gemini_worker", "fusion", "reaper"):
        assert cluster.log(name).stat().st_size, f"{name} wrote nothing"
    assert "Connected to" in logs, (
        "Celery no longer says where it connects to: is this test still about anything?"
    )
    assert [secret for secret in (*cluster.planted(), _KEY) if secret in logs] == []


def _survive_dead_servers(cluster: SecuredCluster) -> None:
    cluster.broker.stop(kill=True)
    job = cluster.submit(scan())
    wait_until(lambda: "Cannot connect to" in cluster.logs(), timeout_s=30, what="a worker misses its broker")
    cluster.broker.start()
    assert cluster.finished(job["id"], timeout_s=60)["state"] == "completed"
    cluster.ledger.stop(kill=True)
    assert cluster.http.post("/v1/jobs", files={"image": ("scan", scan())}).status_code == 503
    wait_until(lambda: "no heartbeat" in cluster.logs(), timeout_s=30, what="a worker misses the ledger")
    cluster.ledger.start()
    wait_until(lambda: cluster.http.get("/readyz").is_success, timeout_s=60, what="all is well again")
