"""RabbitMQ as the broker, by its URL alone: quorum queues, urgent jobs, a broker that dies under load, TLS."""

import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from kombu.connection import Connection

from shared import queue
from shared.errors import SetupError
from shared.names import Priority, Stage
from shared.settings import Settings
from tests.support.certificates import Authority
from tests.support.cluster import Cluster
from tests.support.images import scan
from tests.support.launch import ROOT
from tests.support.rabbitmq import PASSWORD, USER, RabbitMq
from tests.support.samples import new_ref
from tests.support.waiting import wait_until

_SUBMITTED, _BEFORE = 40, 10
#: On a busy machine the last one may take this long.
_SLOW_S = 300


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def rabbit(authority: Authority) -> Iterator[RabbitMq]:
    node = RabbitMq(authority)
    try:
        node.start()
        yield node
    finally:
        node.remove()


@pytest.fixture(scope="module")
def cluster(rabbit: RabbitMq) -> Iterator[Cluster]:
    with Cluster(BROKER_URL=rabbit.broker_url) as running:
        yield running


def test_jobs_go_through_quorum_queues(cluster: Cluster, rabbit: RabbitMq) -> None:
    with ThreadPoolExecutor(4) as clients:
        jobs = list(clients.map(lambda _: cluster.run(scan()), range(20)))

    assert {job["state"] for job in jobs} == {"completed"}
    kinds = dict(line.split("\t") for line in rabbit.control("list_queues", "name", "type").splitlines())
    # Two a stage and no others: none of those that Celery makes to delay messages.
    own = {name for stage in Stage for name in (stage.value, f"{stage}.stat")}
    assert {name: kinds[name] for name in own} == dict.fromkeys(own, "quorum")
    assert not [name for name in kinds if name.startswith("celery_delayed")]


def test_an_urgent_job_waits_for_no_backlog(cluster: Cluster) -> None:
    cluster.signal("ml_worker", signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as clients:
            routine = list(clients.map(lambda _: cluster.submit(scan())["id"], range(60)))
        urgent = [cluster.submit(scan(), priority="stat")["id"] for _ in range(3)]
    finally:
        cluster.signal("ml_worker", signal.SIGCONT)
    last = max(cluster.finished(job_id, timeout_s=60)["ended_at"] for job_id in urgent)
    ahead = [job_id for job_id in routine if cluster.finished(job_id, timeout_s=120)["ended_at"] < last]

    # Urgent and routine take turns; and some routine ones were in the worker's hands already.
    assert len(ahead) <= 20


def test_a_broker_that_dies_under_load_costs_no_job(cluster: Cluster, rabbit: RabbitMq) -> None:
    accepted: list[str] = []

    def submit(_: int) -> None:
        accepted.append(cluster.submit(scan())["id"])

    with ThreadPoolExecutor(6) as clients:
        submitting = [clients.submit(submit, n) for n in range(_SUBMITTED)]
        wait_until(lambda: len(accepted) >= _BEFORE, timeout_s=60)
        rabbit.stop(kill=True)
        # Accepted all the same: the ledger has them.
        wait_until(lambda: len(accepted) >= 2 * _BEFORE, timeout_s=120)
        rabbit.start()
        for one in submitting:
            one.result(120)
    jobs = [cluster.finished(job_id, timeout_s=_SLOW_S) for job_id in accepted]

    assert len(set(accepted)) == _SUBMITTED
    assert {job["state"] for job in jobs} == {"completed"}
    assert [cluster.job(job["id"]) for job in jobs] == jobs


def test_over_tls_the_certificate_is_checked(rabbit: RabbitMq, authority: Authority, tmp_path: Path) -> None:
    trusting = Settings(broker_url=rabbit.tls_url, redis_ca_file=authority.file)
    with closing(queue.make_celery(trusting)) as app:
        queue.check(app)
        queue.publish(app, new_ref(), Stage.GEMINI, Priority.STAT)
    other = Authority(tmp_path, "somebody else").file
    for strict in (
        Settings(broker_url=rabbit.tls_url, redis_ca_file=other),
        Settings(broker_url=rabbit.tls_url),
    ):
        with (
            closing(queue.make_celery(strict)) as app,
            pytest.raises(SetupError, match="shows a certificate that we do not trust"),
        ):
            queue.check(app)


def test_a_user_needs_no_more_than_the_page_says(rabbit: RabbitMq) -> None:
    page = (ROOT / "docs" / "scale.md").read_text()
    [queues, write] = re.findall(r"`(\^\S+\$)`", page[page.index("## RabbitMQ") :])
    rabbit.control("add_user", "least", "least-password")
    rabbit.control("set_permissions", "-p", "/", "least", queues, write, queues)
    url = rabbit.broker_url.replace(f"{USER}:{PASSWORD}", "least:least-password")
    with Cluster(BROKER_URL=url) as running:
        job_id = running.submit(scan(), priority="stat")["id"]
        assert running.finished(job_id, timeout_s=_SLOW_S)["state"] == "completed"
    said = (rabbit.folder / "log").read_text()
    assert "user 'least' authenticated" in said
    assert "refused for user 'least'" not in said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("planted", "refuses the user or the password in it"),
        ("elsewhere", "has no such virtual host"),
    ],
)
def test_a_wrong_login_is_one_line(rabbit: RabbitMq, wrong: str, said: str) -> None:
    url = rabbit.broker_url
    url = url.replace(PASSWORD, wrong) if wrong == "planted" else url[:-1] + wrong
    with (
        closing(queue.make_celery(Settings(broker_url=url))) as app,
        pytest.raises(SetupError, match=said) as error,
    ):
        queue.check(app)
    assert "planted" not in str(error.value)


def test_a_queue_of_another_kind_is_one_line(rabbit: RabbitMq) -> None:
    rabbit.control("add_vhost", "taken")
    rabbit.control("set_permissions", "-p", "taken", USER, ".*", ".*", ".*")
    url = rabbit.broker_url[:-1] + "taken"
    with Connection(url) as connection:  # type: ignore[no-untyped-call]
        connection.SimpleQueue(Stage.ML.value)

    with (
        closing(queue.make_celery(Settings(broker_url=url))) as app,
        pytest.raises(SetupError, match="has a queue with a name of ours that is of another kind"),
    ):
        queue.check(app, Stage.ML)
