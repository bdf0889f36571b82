"""Both clients on the routes beyond a job's own: events, lists, second submissions, erasing, batches."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

import mediscan
from mediscan import contracts
from shared.blob_store import BlobStore
from shared.webhooks.secrets import WebhookSecrets, new_secret
from tests.integration.mediscan.shell import run
from tests.support import zips
from tests.support.cluster import Cluster
from tests.support.images import broken_inside, scan
from tests.support.receiver import Receiver
from tests.support.routes import need
from tests.support.trouble import Mischief, Trouble
from tests.support.waiting import wait_until


@pytest.fixture
def client(cluster: Cluster, connect: Callable[..., Any]) -> Any:
    return connect(cluster.url)


def test_events_tell_the_job_and_can_be_told_again(client: Any, cluster: Cluster) -> None:
    need(cluster, "GET /v1/jobs/{job_id}/events")
    job = client.submit(scan())
    told = list(job.events())
    assert [event.is_last for event in told] == [False] * (len(told) - 1) + [True]
    types = [event.type for event in told]
    assert types[-1] == "completed"
    assert types.index("ml.started") < types.index("ml.done") < types.index("fusion.started")
    assert list(job.events(after=told[1].id)) == told[2:]


def test_a_list_holds_ones_jobs_newest_first(client: Any, cluster: Cluster) -> None:
    need(cluster, "GET /v1/jobs")
    ids = [client.analyze(scan()).id for _ in range(3)]
    listed = [job.id for job in client.list(page_size=2, state="completed")]
    assert listed[:3] == ids[::-1]
    lines = run(cluster.url, "list", "--limit", "3", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids[::-1]


def test_a_lost_answer_makes_no_second_job(
    client: Any, cluster: Cluster, trouble: Trouble, connect: Any
) -> None:
    need(cluster, "PUT /v1/jobs/{client_id}", "GET /v1/jobs")
    before = {job.id for job in client.list()}
    trouble.script = [Mischief.LOSE_ANSWER]
    job = connect(trouble.url).submit(scan(), metadata={"n": 1})
    assert {job.id for job in client.list()} - before == {job.id}


def test_an_id_of_ones_own(client: Any, cluster: Cluster) -> None:
    need(cluster, "PUT /v1/jobs/{client_id}")
    mine = f"scan-{secrets.token_hex(4)}"
    first, second = (client.submit(scan(), client_id=mine) for _ in range(2))
    assert first.id == second.id == client.get(mine).id
    with pytest.raises(mediscan.InvalidRequestError):
        client.submit(scan(shade=1), client_id=mine)


def test_an_equal_image_is_not_read_twice(client: Any, cluster: Cluster) -> None:
    need(cluster, "PUT /v1/jobs/{client_id}")
    first = client.analyze(scan(shade=77))
    assert client.submit(scan(shade=77), deduplicate=True).id == first.id


def test_a_job_that_failed_is_tried_again(client: Any, cluster: Cluster) -> None:
    need(cluster, "POST /v1/jobs/{job_id}/retry")
    failed = client.analyze(broken_inside())
    assert client.retry(failed.id).wait(timeout=30).error.code == "image_unreadable"
    with pytest.raises(mediscan.ConflictError):
        client.retry(client.analyze(scan()).id)


def test_an_erased_job_is_gone(client: Any, cluster: Cluster) -> None:
    need(cluster, "DELETE /v1/jobs/{job_id}")
    job = client.analyze(scan())
    assert run(cluster.url, "delete", job.id, "--yes").exit_code == 0
    with pytest.raises(mediscan.NotFoundError):
        client.get(job.id)


def test_a_webhook_is_told_once_more(client: Any, cluster: Cluster) -> None:
    secrets_of = WebhookSecrets(BlobStore.open(f"file://{cluster.blobs}"))
    if not secrets_of.valid("default"):
        secrets_of.save(new_secret("default"))
    with Receiver() as receiver:
        job = client.submit(scan(), webhook_url=receiver.url)
        job.wait(timeout=60)
        for times in (1, 2, 3):
            if times == 2:
                (asked,) = job.redeliver()
                assert asked.id == receiver.received[0].headers["webhook-id"]
            if times == 3:
                assert run(cluster.url, "redeliver", job.id).exit_code == 0

            def is_told(so_often: int = times) -> bool:
                found = job.deliveries()
                return bool(found) and (found[0].state, len(found[0].attempts)) == ("delivered", so_often)

            wait_until(is_told, timeout_s=60, what=f"it is told {times} times")
    told = [Webhook(_secret(secrets_of)).verify(one.body, one.headers) for one in receiver.received]
    assert [one["data"]["id"] for one in told] == [job.id] * 3
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
    lines = run(cluster.url, "deliveries", job.id).stdout.splitlines()
    assert "job.completed  delivered" in lines[0]
    assert [line.partition("UTC  ")[2].partition(" (")[0] for line in lines[1:]] == [
        "delivered, HTTP 204"
    ] * 3


def _secret(found: WebhookSecrets) -> str:
    return found.valid("default")[0].secret.get_secret_value()


def test_where_nobody_is_told_there_is_nothing_to_send_again(client: Any, cluster: Cluster) -> None:
    job = client.submit(scan())
    assert job.deliveries() == ()
    with pytest.raises(mediscan.NotFoundError) as refused:
        job.redeliver()
    assert refused.value.code == "no_delivery"
    assert run(cluster.url, "deliveries", job.id).stdout == ""


def test_a_batch(client: Any, cluster: Cluster, tmp_path: Path) -> None:
    need(cluster, "POST /v1/batches")
    path = tmp_path / "scan.png"
    path.write_bytes(scan())
    batch = client.submit_batch([path, b"no image", scan(shade=9)], metadata={"study": "A-17"})
    assert [refused.index for refused in batch.view.refused] == [1]
    ended = batch.wait(timeout=60)
    assert (ended.state, ended.counts.completed, ended.counts.refused) == ("completed", 2, 1)
    first, second, third = batch.results()
    assert isinstance(first, contracts.JobView)
    assert first.metadata == {"study": "A-17"}
    assert isinstance(second, contracts.Problem)
    assert third.state == "completed"
    assert {job.id for job in client.list(batch=batch.id)} == {first.id, third.id}
    zipped = client.submit_archive(zips.zipped({"a.png": scan(shade=3), "b.txt": b"no image"}))
    ended = zipped.wait(timeout=60)
    assert (ended.state, ended.counts.completed, ended.counts.refused) == ("completed", 1, 1)


def test_dead_letters(client: Any, cluster: Cluster) -> None:
    need(cluster, "GET /v1/dead-letters")
    assert all(isinstance(letter, contracts.DeadLetter) for letter in client.dead_letters())
    with pytest.raises(mediscan.NotFoundError):
        client.dead_letter("job_019a0000000000112233445566778899")
