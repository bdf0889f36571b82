"""The message queue: how Celery is set up here, and the one way to publish.

A message says "look at this job" and nothing else; losing or repeating one costs time only
(docs/decisions/0001-ledger-is-the-truth.md). That is why messages are acknowledged early, and why kombu's
bookkeeping of unacknowledged messages on Redis is off.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import celery
from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from shared.brokers import Broker, broker_of
from shared.errors import BrokerUnavailableError, SetupError
from shared.names import TASK_OF_STAGE, JobRef, Priority, Stage
from shared.refusal import why_refused
from shared.settings import Settings

#: Giving up quickly is safe: the ledger has the job, and the reaper publishes what was not.
_PUBLISH_RETRY = {"max_retries": 1, "interval_start": 0.05, "interval_max": 0.1}


def make_celery(settings: Settings) -> Celery:
    """A Celery application for this cluster; tasks are registered by the services."""
    app = Celery("mediscan", broker=settings.effective_broker_url, set_as_current=False)
    broker = broker_of(settings.effective_broker_url)
    app.conf.update(_configuration(), task_queues=broker.queues(), **broker.configuration(settings))
    return app


def _configuration() -> dict[str, Any]:
    return {
        # Results live in the ledger; nothing here waits for another task.
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_create_missing_queues": False,
        # One slow worker hoards nothing; on Redis it takes a message only when a child is free for it.
        "worker_prefetch_multiplier": 1,
        "broker_pool_acquire_timeout": 2,
        "task_publish_retry": True,
        "task_publish_retry_policy": _PUBLISH_RETRY,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A broker that refuses a worker, being full when it connects, is tried again like one that is away.
        "broker_channel_error_retry": True,
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        # A stopping worker first lets running tasks end; compose and the demo wait a little longer than this.
        "worker_soft_shutdown_timeout": 8,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "task_store_errors_even_if_ignored": False,
    }


def queues_of(app: Celery, stage: Stage) -> list[str]:
    """The queues that a stage's workers take from."""
    return _broker(app).queues_of(stage)


def publish(app: Celery, ref: JobRef, stage: Stage, priority: Priority) -> None:
    """Tell the stage's workers to look at a job; BrokerUnavailableError when that fails (the reaper repeats it)."""
    with _converted(app):
        app.send_task(
            TASK_OF_STAGE[stage],
            args=(str(ref),),
            **_broker(app).route(stage, priority),
        )


def depth(app: Celery, stage: Stage) -> int:
    """Messages waiting for a stage, also 0 before its first; BrokerUnavailableError without a broker."""
    return _depths(app, stage)[stage]


def depths(app: Celery) -> dict[Stage, int]:
    """The same of all stages, over one connection."""
    return _depths(app, *Stage)


def _depths(app: Celery, *stages: Stage) -> dict[Stage, int]:
    with _converted(app), app.connection_for_read() as connection:
        connection.ensure_connection(timeout=2, **_PUBLISH_RETRY)
        return {stage: _declared(app, connection, stage) for stage in stages}


def _declared(app: Celery, connection: Connection, stage: Stage) -> int:
    """Messages waiting in a stage's queues, declared as workers do and not passively: Redis has no empty ones."""
    queues = (app.amqp.queues[name].bind(connection.default_channel) for name in queues_of(app, stage))
    return sum(int(one.queue_declare().message_count) for one in queues)


def check(app: Celery, *stages: Stage) -> None:
    """SetupError where the broker's URL cannot be used or the broker refuses us; one that is away is waited for.

    stages: whose queues the caller reads. One of another kind on RabbitMQ is a refusal too: Celery would try for ever.
    """
    try:
        away = connection_errors(
            app
        )  # resolves the transport, which publishing would only do at the first job
    except (LookupError, ImportError, ValueError) as error:
        known = "redis://, rediss://, redis+socket://, amqp:// or amqps://"
        raise SetupError(f"MEDISCAN_BROKER_URL is not a URL of a broker we know ({known})") from error
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(timeout=2, **_PUBLISH_RETRY)
            for stage in stages:
                _declared(app, connection, stage)
    except away as error:
        refused = why_refused(error)
        if refused:
            raise SetupError(f"the broker at MEDISCAN_BROKER_URL {refused}") from error


def connection_errors(app: Celery) -> tuple[type[BaseException], ...]:
    """What this broker's client raises when the broker is away."""
    connection = app.connection_for_read()
    return (OperationalError, OSError, *connection.connection_errors, *connection.channel_errors)


@contextmanager
def _converted(app: Celery) -> Iterator[None]:
    try:
        yield
    # kombu forgets the connection of a channel that broke under it and then asks that channel for it.
    except (AttributeError, celery.exceptions.CeleryError, *connection_errors(app)) as error:
        raise BrokerUnavailableError("The message queue cannot be reached right now.") from error


def _broker(app: Celery) -> Broker:
    return broker_of(str(app.conf.broker_url))
