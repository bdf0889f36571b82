"""The facts of Celery's configuration that the design rests on."""

import pytest

from shared import queue
from shared.errors import SetupError
from shared.names import Priority, Stage
from shared.settings import Settings

REDIS, AMQP = "redis://host/0", "amqp://host"


def conf(name: str, broker_url: str = REDIS) -> object:
    return queue.make_celery(Settings(broker_url=broker_url)).conf[name]


@pytest.mark.parametrize("name", ["accept_content", "result_accept_content"])
def test_nothing_but_json_is_accepted(name: str) -> None:
    assert conf(name) == ["json"]


def test_tasks_are_sent_as_json() -> None:
    assert conf("task_serializer") == "json"


def test_results_are_not_kept_by_celery() -> None:
    assert conf("task_ignore_result") is True
    assert conf("result_backend") is None


def test_a_worker_takes_one_message_at_a_time() -> None:
    assert (conf("worker_disable_prefetch"), conf("worker_prefetch_multiplier")) == (True, 1)


def test_publishing_never_waits_without_bound() -> None:
    assert conf("broker_pool_acquire_timeout") == 2
    assert conf("task_publish_retry_policy") == {
        "max_retries": 1,
        "interval_start": 0.05,
        "interval_max": 0.1,
    }


@pytest.mark.parametrize("broker_url", [REDIS, AMQP])
def test_there_is_one_durable_queue_a_stage_and_no_other(broker_url: str) -> None:
    app = queue.make_celery(Settings(broker_url=broker_url))

    assert list(app.amqp.queues) == list(Stage)
    assert all(declared.durable for declared in app.amqp.queues.values())
    assert conf("task_create_missing_queues") is False


def test_redis_serves_the_lower_number_first() -> None:
    priorities = queue._priorities(queue.make_celery(Settings(broker_url=REDIS)))

    assert priorities[Priority.STAT] < priorities[Priority.ROUTINE]


def test_every_redis_priority_has_a_list_of_its_own() -> None:
    app = queue.make_celery(Settings(broker_url=REDIS))

    assert app.conf.broker_transport_options["priority_steps"] == sorted(queue._priorities(app).values())


def test_amqp_serves_the_higher_number_first_up_to_the_declared_maximum() -> None:
    app = queue.make_celery(Settings(broker_url=AMQP))
    priorities = queue._priorities(app)

    assert priorities[Priority.STAT] > priorities[Priority.ROUTINE]
    assert {declared.max_priority for declared in app.amqp.queues.values()} == {priorities[Priority.STAT]}


def test_a_broker_of_an_unknown_kind_stops_the_start() -> None:
    with pytest.raises(SetupError, match="MEDISCAN_BROKER_URL is not a URL"):
        queue.check(queue.make_celery(Settings(broker_url="pigeon://post")))


def test_tls_is_verified_and_nothing_else_is_wrapped_in_it() -> None:
    assert conf("broker_use_ssl") is False
    assert conf("broker_use_ssl", "rediss://host/0") == {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    }
