"""The facts of Celery's configuration that the design rests on."""

import ssl

import pytest
from celery.worker.consumer.consumer import Consumer

from shared import queue
from shared.brokers import Redis
from shared.errors import SetupError
from shared.names import Priority, Stage
from shared.quorum_consumer import QuorumConsumer
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


def test_redis_has_one_durable_queue_a_stage_and_no_other() -> None:
    app = queue.make_celery(Settings(broker_url=REDIS))

    assert list(app.amqp.queues) == [name for stage in Stage for name in queue.queues_of(app, stage)]
    assert list(app.amqp.queues) == list(Stage)
    assert all(declared.durable for declared in app.amqp.queues.values())
    assert conf("task_create_missing_queues") is False


def test_redis_serves_the_lower_number_first_and_each_has_a_list_of_its_own() -> None:
    assert Redis.priorities[Priority.STAT] < Redis.priorities[Priority.ROUTINE]
    app = queue.make_celery(Settings(broker_url=REDIS))
    assert app.conf.broker_transport_options["priority_steps"] == sorted(Redis.priorities.values())


def test_amqp_has_two_quorum_queues_a_stage_and_no_other() -> None:
    app = queue.make_celery(Settings(broker_url=AMQP))

    assert queue.queues_of(app, Stage.ML) == ["ml.stat", "ml"]
    assert list(app.amqp.queues) == [name for stage in Stage for name in queue.queues_of(app, stage)]
    assert all(declared.durable for declared in app.amqp.queues.values())
    assert {str(declared.queue_arguments) for declared in app.amqp.queues.values()} == {
        "{'x-queue-type': 'quorum'}"
    }
    assert conf("task_create_missing_queues", AMQP) is False


def test_amqp_publishes_with_confirmation_and_within_bounds() -> None:
    options = queue.make_celery(Settings(broker_url=AMQP)).conf.broker_transport_options

    assert options["confirm_publish"] is True
    assert 0 < options["write_timeout"] <= options["read_timeout"] <= 5


def test_no_worker_builds_celerys_tower_of_queues_for_later() -> None:
    steps = QuorumConsumer.Blueprint.default_steps
    assert not [step for step in steps if "delayed" in step.lower()]
    assert len(steps) == len(Consumer.Blueprint.default_steps) - 1
    assert conf("worker_consumer", AMQP) == "shared.quorum_consumer:QuorumConsumer"


def test_a_broker_of_an_unknown_kind_stops_the_start() -> None:
    with pytest.raises(SetupError, match="MEDISCAN_BROKER_URL is not a URL"):
        queue.check(queue.make_celery(Settings(broker_url="pigeon://post")))


def test_tls_is_verified_and_nothing_else_is_wrapped_in_it() -> None:
    assert conf("broker_use_ssl") is False
    assert conf("broker_use_ssl", "rediss://host/0") == {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    }
    assert conf("broker_use_ssl", AMQP) is False
    assert conf("broker_use_ssl", "amqps://host") == {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}
