"""The ledger's primary dies under load: the sentinels name another, and nothing that was answered 202 is lost."""

import json
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from shared.errors import LedgerUnavailableError
from shared.job_state import JobState
from shared.ledger import Ledger
from shared.ledger.connection import connect
from shared.names import JobRef
from shared.settings import Settings
from tests.support.cluster import Cluster
from tests.support.images import scan
from tests.support.samples import new_job, new_ref
from tests.support.sentinels import SentinelLedger
from tests.support.waiting import wait_until

_CLIENTS = 8
_JOBS_EACH = 12
#: Each job has long ended by then.
_FOLLOWED_S = 240.0
#: So many are accepted before the primary dies.
_BEFORE = 20


@pytest.fixture(scope="module")
def sentinels() -> Iterator[SentinelLedger]:
    made = SentinelLedger()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def cluster(sentinels: SentinelLedger) -> Iterator[Cluster]:
    with Cluster().on(ledger=sentinels) as running:
        yield running


@dataclass
class Seen:
    """What clients were told."""

    accepted: list[str] = field(default_factory=list)
    refusals: list[httpx.Response] = field(default_factory=list)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)


def settled(cluster: Cluster, seen: Seen, method: str, path: str, **sent: Any) -> httpx.Response:
    """Ask until the answer is no refusal, as a client that waits as told."""

    def ask() -> httpx.Response | None:
        answer = cluster.http.request(method, path, **sent)
        if answer.status_code != 503:
            return answer
        seen.refusals.append(answer)
        time.sleep(float(answer.headers["retry-after"]))
        return None

    found = wait_until(ask, timeout_s=120, what=f"{method} {path} is answered")
    assert found is not None
    return found


def submit_some(cluster: Cluster, seen: Seen) -> None:
    for _ in range(_JOBS_EACH):
        name = {"Idempotency-Key": uuid.uuid4().hex}
        answer = settled(cluster, seen, "POST", "/v1/jobs", files={"image": ("scan", scan())}, headers=name)
        # 200: a submission that was refused had been recorded all the same.
        assert answer.status_code in {200, 202}, answer.text
        seen.accepted.append(answer.json()["id"])


def follow_all(cluster: Cluster, seen: Seen, done: Event) -> None:
    """Note what each job said when it was first seen to have ended."""
    give_up = time.monotonic() + _FOLLOWED_S
    while not (done.is_set() and len(seen.ended) == len(seen.accepted)):
        assert time.monotonic() < give_up, f"not ended: {set(seen.accepted) - seen.ended.keys()}"
        for job_id in [job_id for job_id in seen.accepted if job_id not in seen.ended]:
            answer = settled(cluster, seen, "GET", f"/v1/jobs/{job_id}?wait=1")
            assert answer.status_code == 200, f"{job_id} was answered 202: {answer.text}"
            if answer.json()["ended_at"]:
                seen.ended[job_id] = answer.json()
        time.sleep(0.05)


def records(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """Every finished job as it is kept."""
    found = [Path(path) for path in cluster.blob_files() if path.suffix == ".json"]
    return {path.stem: json.loads(path.read_text()) for path in found}


def test_a_failover_under_load_loses_nothing(cluster: Cluster, sentinels: SentinelLedger) -> None:
    seen, done = Seen(), Event()
    with ThreadPoolExecutor(_CLIENTS + 1) as clients:
        submitting = [clients.submit(submit_some, cluster, seen) for _ in range(_CLIENTS)]
        following = clients.submit(follow_all, cluster, seen, done)
        try:
            wait_until(lambda: len(seen.accepted) >= _BEFORE, timeout_s=60)
            old = sentinels.fail_over(whom=lambda primary: primary.stop(kill=True))
            for client in submitting:
                client.result(180)
        finally:
            done.set()
        following.result(180)

    assert len(seen.accepted) == len(set(seen.accepted)) == _CLIENTS * _JOBS_EACH
    assert {job["state"] for job in seen.ended.values()} == {JobState.COMPLETED}
    assert {answer.json()["code"] for answer in seen.refusals} == {"ledger_unavailable"}

    # The channel on which changes are told was found again at the new primary.
    assert "the ledger tells its changes again" in cluster.log("gateway").read_text()

    # The old primary comes back as a replica and forgets what only it knew; nothing of that was ever told.
    old.start()
    with old.client() as client:
        wait_until(lambda: client.info("replication")["role"] == "slave", timeout_s=60)
    kept = records(cluster)
    for job_id, told in seen.ended.items():
        assert cluster.job(job_id) == told
        assert kept[job_id]["result"] == told["result"]


def test_a_job_goes_through_afterwards_and_who_waits_is_told(cluster: Cluster) -> None:
    job_id = cluster.submit(scan())["id"]
    wait_until(lambda: cluster.http.get(f"/v1/jobs/{job_id}?wait=30").json()["ended_at"], timeout_s=60)


def test_what_no_replica_holds_is_not_told(cluster: Cluster, sentinels: SentinelLedger) -> None:
    wait_until(lambda: len(sentinels.replicas) == 2, timeout_s=60)
    ledger = Ledger.open(Settings(redis_url=sentinels.url, broker_url="redis://nowhere"), patience_s=1)
    ref = new_ref()
    ledger.create(ref, new_job())
    frozen = sentinels.replicas
    for replica in frozen:
        replica.signal(signal.SIGSTOP)
    try:
        with pytest.raises(LedgerUnavailableError):
            ledger.create(new_ref(), new_job())
        with pytest.raises(LedgerUnavailableError):
            ledger.cancel(ref)
        with pytest.raises(LedgerUnavailableError):
            ledger.audit.append("{}")
        answer = cluster.http.post("/v1/jobs", files={"image": ("scan", scan())})
        assert (answer.status_code, answer.json()["code"]) == (503, "ledger_unavailable")
        assert answer.headers["retry-after"]
    finally:
        for replica in frozen:
            replica.signal(signal.SIGCONT)
    again = wait_until(lambda: _repeated(ledger, ref), timeout_s=60)
    assert again is JobState.CANCELLED
    ledger.close()


class _BrokenOffError(Exception):
    """What a task's time limit raises, wherever the task is."""


@pytest.mark.usefixtures("cluster")
def test_a_reply_that_was_broken_off_is_nobody_elses(sentinels: SentinelLedger) -> None:
    def break_off(*_: object) -> None:
        raise _BrokenOffError

    client = connect(Settings(redis_url=sentinels.url, broker_url="redis://nowhere"), patience_s=5)
    client.ping()
    before = signal.signal(signal.SIGALRM, break_off)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(_BrokenOffError):
            client.wait(9, 1000)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [client.echo(str(number)) for number in range(5)] == ["0", "1", "2", "3", "4"]
    client.close()


def _repeated(ledger: Ledger, ref: JobRef) -> JobState | None:
    try:
        job = ledger.cancel(ref)
    except LedgerUnavailableError:
        return None
    return job.state if job else None
