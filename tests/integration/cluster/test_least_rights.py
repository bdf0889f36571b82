"""Each service logs in to ledger and broker as a user of its own, with `deploy/valkey/*.acl`: enough, and no more."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis

from embedded.layout import SERVICES
from shared.blob_store import BlobStore
from shared.ledger import Ledger
from shared.names import Blob, JobRef, Key, blob_path
from shared.settings import Settings
from shared.webhooks.secrets import WebhookSecrets, new_secret
from tests.fake_gemini import Behaviour, FakeGemini, Kind
from tests.support.dicom_study import study
from tests.support.images import scan
from tests.support.launch import ROOT
from tests.support.metrics import scrape, value
from tests.support.receiver import Receiver, answers
from tests.support.secured import SecuredCluster, on_sockets
from tests.support.waiting import wait_until

_NO_PERMISSION = redis.exceptions.NoPermissionError

_HARMFUL = (
    "FLUSHALL",
    "FLUSHDB",
    "CONFIG GET maxmemory",
    "CONFIG SET appendonly no",
    "KEYS *",
    "SCAN 0",
    "ACL LIST",
    "ACL SETUSER health +@all",
    "CLIENT LIST",
    "MONITOR",
    "SHUTDOWN NOSAVE",
    "SAVE",
    "REPLICAOF 192.0.2.1 6379",
    "MODULE LIST",
    "SCRIPT FLUSH",
    "EVAL return 0",
    "DEL mediscan:due",
    "SET planted 1",
)


@pytest.fixture(scope="module")
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as fake:
        yield fake


@pytest.fixture(scope="module")
def cluster(gemini: FakeGemini, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredCluster]:
    credentials = tmp_path_factory.mktemp("credentials")
    settings = {
        "GEMINI_ENABLED": "true",
        "GEMINI_API_KEY": "test-key",
        "GEMINI_BASE_URL": gemini.base_url,
        "GEMINI_GRACE_S": "10",
        "GEMINI_TIMEOUT_S": "8",
        "GEMINI_REQUESTS_PER_MINUTE": "1000",
        "GEMINI_DAILY_BUDGET": "1000",
        "GEMINI_CIRCUIT_COOLDOWN_S": "0.2",
        "AUDIT_SEAL_S": "0.3",
        "DRIFT_INTERVAL_S": "0.3",
        "METRICS_PORT": "0",
        "WEBHOOK_HTTP_LOOPBACK": "true",
        "PACS_URL": "http://127.0.0.1:9/dicom-web",  # nobody is there
    }
    with on_sockets(credentials, **settings) as running:
        wait_until(lambda: running.http.get("/readyz").json()["workers"]["gemini"], timeout_s=60)
        yield running


@contextmanager
def nothing_refused(cluster: SecuredCluster) -> Iterator[None]:
    """AssertionError if ledger or broker refused anybody anything in the meantime."""
    with cluster.ledger.client() as ledger, cluster.broker.client() as broker:
        ledger.acl_log_reset()
        broker.acl_log_reset()
        yield
        assert [*ledger.acl_log(), *broker.acl_log()] == []


def test_jobs_run_and_nobody_is_refused_anything(cluster: SecuredCluster) -> None:
    with nothing_refused(cluster):
        job = cluster.run(scan(), priority="stat")
        assert job["state"] == "completed"
        assert job["result"]["fallback"] is None
        assert cluster.run(scan(), prior_job_id=job["id"])["state"] == "completed"
        assert cluster.http.get("/v1/models").json()["models"]
        wait_until(lambda: cluster.http.get("/v1/cluster").json()["drift"][0]["n"], what="it was compared")
        assert cluster.http.get("/v1/cluster").json()["messages"] is not None
        assert value(scrape(cluster, "reaper"), "mediscan_ledger_up") == 1
        assert cluster.http.post(f"/v1/jobs/{cluster.submit(scan())['id']}/cancel").status_code in {200, 409}
        assert cluster.http.get("/readyz").json()["degraded"] == []


def test_a_job_may_be_repeated_erased_tried_again_and_have_an_id_of_the_callers(
    cluster: SecuredCluster,
) -> None:
    with nothing_refused(cluster):
        key, files = {"idempotency-key": "k"}, {"image": scan()}
        jobs = [cluster.http.post("/v1/jobs", files=files, headers=key).json()["id"] for _ in range(2)]
        assert jobs[0] == jobs[1]
        again = cluster.http.post("/v1/jobs", files=files, data={"deduplicate": "true"})
        assert again.json()["id"] == jobs[0]
        cluster.finished(jobs[0])
        assert cluster.http.delete(f"/v1/jobs/{jobs[0]}").status_code == 204
        with cluster.ledger.client("reaper") as client:  # ten minutes later
            client.zadd(Key.ERASED, {f"default/{jobs[0]}": 1})
            wait_until(lambda: not client.exists(Key.ERASED), timeout_s=30, what="the reaper erased it again")
        assert cluster.http.get("/v1/dead-letters").status_code == 200
        assert cluster.http.get(f"/v1/dead-letters/{jobs[0]}").status_code == 404
        cancelled = cluster.submit(scan())["id"]
        if cluster.http.post(f"/v1/jobs/{cancelled}/cancel").status_code == 200:
            assert cluster.http.post(f"/v1/jobs/{cancelled}/retry").status_code == 202
        named = cluster.http.put("/v1/jobs/mine", files=files).json()["id"]
        assert cluster.finished(named)["client_id"] == "mine"
        assert cluster.http.get("/v1/jobs/mine").json()["id"] == named


def test_jobs_may_be_listed_and_come_in_a_batch(cluster: SecuredCluster) -> None:
    with nothing_refused(cluster):
        files = [("image", ("x", scan(shade=shade))) for shade in (1, 2)]
        headers = {"idempotency-key": "batch"}
        batch = cluster.http.post("/v1/batches", files=files, headers=headers).json()
        ended = cluster.http.get(f"/v1/batches/{batch['id']}", params={"wait": 30}).json()
        assert ended["counts"]["completed"] == 2
        assert cluster.http.post("/v1/batches", files=files, headers=headers).status_code == 200
        assert len(cluster.http.get("/v1/jobs", params={"batch": batch["id"]}).json()["items"]) == 2
        assert cluster.http.get("/v1/jobs").json()["items"]
        assert cluster.http.delete(f"/v1/batches/{batch['id']}").status_code == 204


def test_the_gateway_may_look_for_changes_that_it_was_not_told_of(cluster: SecuredCluster) -> None:
    url = f"{cluster.ledger.login('gateway')}"
    with nothing_refused(cluster), closing(Ledger.open(Settings(redis_url=url), patience_s=1)) as ledger:
        job_id = cluster.submit(scan())["id"]
        assert list(ledger.versions([JobRef("default", job_id)])) == [JobRef("default", job_id)]


def test_the_reaper_may_repair_a_lost_message_and_a_dead_worker(cluster: SecuredCluster) -> None:
    with nothing_refused(cluster):
        cluster.kill("ml_worker")
        job = cluster.submit(scan())
        with cluster.broker.client("ml_worker") as client:  # the message is lost
            wait_until(lambda: client.brpop(["ml", "ml\x06\x169"], timeout=1), what="the message is taken")
        cluster.start("ml_worker")
        assert cluster.finished(job["id"], timeout_s=60)["state"] == "completed"


def test_the_reaper_may_seal_the_audit_trail(cluster: SecuredCluster) -> None:
    with nothing_refused(cluster):
        job_id = cluster.run(scan())["id"]

        def sealed() -> bool:
            return any(job_id in path.read_text() for path in cluster.blobs.glob("_audit/*.jsonl"))

        wait_until(sealed, timeout_s=30, what="the job is in the trail")


def test_dicom_objects_are_made_sent_and_erased(cluster: SecuredCluster) -> None:
    with nothing_refused(cluster):
        here = f"/v1/jobs/{cluster.run(study()[1].file)['id']}"

        def tried() -> bool:
            items = cluster.http.get(f"{here}/deliveries").json()["items"]
            return any(item["target"] == "pacs" and item["attempts"] for item in items)

        wait_until(tried, timeout_s=60, what="the PACS was to be told")
        assert cluster.http.get(f"{here}/dicom/sr").content[128:132] == b"DICM"
        assert cluster.http.delete(here).status_code == 204
        assert cluster.http.get(f"{here}/dicom/sr").status_code == 404


def test_webhooks_are_sent_and_logged(cluster: SecuredCluster) -> None:
    WebhookSecrets(BlobStore.open(f"file://{cluster.blobs}")).save(new_secret("default"))
    with Receiver(answers(500), answers(204)) as receiver, nothing_refused(cluster):
        ref = JobRef("default", cluster.submit(scan(), webhook_url=receiver.url)["id"])

        def state(tries: int) -> bool:
            items = cluster.http.get(f"/v1/jobs/{ref.job_id}/deliveries").json()["items"]
            return bool(items) and len(items[0]["attempts"]) == tries

        wait_until(lambda: state(1), timeout_s=30, what="a failed attempt is noted")
        wait_until(lambda: state(2), timeout_s=60, what="the second attempt is noted")
        assert [one.headers["content-type"] for one in receiver.received] == ["application/json"] * 2
        log = cluster.blobs / blob_path(ref, Blob.DELIVERY)
        wait_until(log.exists, timeout_s=30, what="the log is kept")
        assert cluster.http.post(f"/v1/jobs/{ref.job_id}/deliveries/redeliver").status_code == 202
        wait_until(lambda: state(3), timeout_s=60, what="it is sent once more")


def test_the_gemini_workers_may_open_and_close_their_circuit(
    cluster: SecuredCluster, gemini: FakeGemini
) -> None:
    with nothing_refused(cluster):
        gemini.behave(Behaviour(Kind.BAD_KEY))  # opens it at once
        assert cluster.run(scan())["result"]["fallback"] is not None
        assert cluster.http.get("/readyz").is_success
        gemini.behave(Behaviour())
        wait_until(lambda: cluster.run(scan())["result"]["fallback"] is None, timeout_s=30)


@pytest.mark.parametrize("name", ["ml", "gemini", "fusion", "reaper"])
def test_the_health_checks_have_what_they_need(cluster: SecuredCluster, name: str) -> None:
    service = name if name in {"fusion", "reaper"} else f"{name}_worker"
    wait_until(lambda: _ends_well(cluster, service, "shared.healthcheck", name), timeout_s=30)


def test_an_operator_may_list_dead_letters(cluster: SecuredCluster) -> None:
    assert _ends_well(cluster, "fusion", "services.fusion", "dead-letters")


def _ends_well(cluster: SecuredCluster, service: str, *module: str) -> bool:
    environment = {**cluster.environment(), **cluster.login(service)}
    command = [sys.executable, "-m", *module]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("user", [*SERVICES, "operator"])
@pytest.mark.parametrize("server", ["ledger", "broker"])
def test_no_service_may_harm_or_search_a_server(cluster: SecuredCluster, server: str, user: str) -> None:
    chosen = cluster.ledger if server == "ledger" else cluster.broker
    with chosen.client(user) as client:
        for command in _HARMFUL:
            with pytest.raises(_NO_PERMISSION):
                client.execute_command(*command.split())


@pytest.mark.parametrize(
    ("user", "command"),
    [
        ("gateway", "LRANGE ml 0 -1"),
        ("gateway", "BRPOP ml 1"),
        ("gateway", "LPUSH fusion x"),
        ("ml_worker", "BRPOP gemini 1"),
        ("gemini_worker", "BRPOP ml 1"),
        ("fusion", "LPUSH ml x"),
        ("reaper", "BRPOP fusion 1"),
        ("operator", "LPUSH ml x"),
    ],
)
def test_nobody_touches_a_queue_that_is_not_theirs(cluster: SecuredCluster, user: str, command: str) -> None:
    with cluster.broker.client(user) as client, pytest.raises(_NO_PERMISSION):
        client.execute_command(*command.split())


@pytest.mark.parametrize(
    ("user", "command"),
    [
        ("gateway", "ZADD mediscan:workers:ml 1 forged"),
        ("gateway", "HSET mediscan:models default forged"),
        ("gemini_worker", "ZADD mediscan:workers:ml 1 forged"),
        ("gemini_worker", "HSET mediscan:models default forged"),
        ("fusion", "HSET mediscan:models default forged"),
        ("ml_worker", "HGETALL mediscan:bucket:somebody"),
        ("operator", "HSET mediscan:counters probe 2"),
    ],
)
def test_nobody_writes_what_others_answer_for(cluster: SecuredCluster, user: str, command: str) -> None:
    with cluster.ledger.client(user) as client, pytest.raises(_NO_PERMISSION):
        client.execute_command(*command.split())


def test_without_a_password_a_ping_is_all(cluster: SecuredCluster) -> None:
    path = str(cluster.ledger.socket)
    with redis.Redis(unix_socket_path=path) as nobody, pytest.raises(redis.exceptions.AuthenticationError):
        nobody.ping()
    with redis.Redis.from_url(f"unix://health@{path}?password=any") as health:
        assert health.ping()
        with pytest.raises(_NO_PERMISSION):
            health.get("mediscan:due")


def test_the_passwords_survive_and_changed_rights_are_taken_over(tmp_path: Path) -> None:
    script, rights, out = ROOT / "deploy/valkey/credentials", tmp_path / "rights", tmp_path / "out"
    rights.mkdir()
    for name in ("ledger.acl", "broker.acl"):
        (rights / name).write_text((ROOT / "deploy/valkey" / name).read_text())
    subprocess.run([script, rights, out], check=True)
    before = (out / "gateway" / "mediscan_redis_url").read_text()
    changed = (rights / "ledger.acl").read_text().replace("user gateway on", "user gateway on +llen")
    (rights / "ledger.acl").write_text(changed)
    subprocess.run([script, rights, out], check=True)
    assert (out / "gateway" / "mediscan_redis_url").read_text() == before
    assert "user gateway on +llen" in (out / "ledger" / "users.acl").read_text()
    password = before.split(":")[2].split("@")[0]
    assert len(password) == 48
    assert password not in (out / "ledger" / "users.acl").read_text()
    assert all(file.stat().st_mode & 0o077 == 0 for file in out.rglob("*"))
