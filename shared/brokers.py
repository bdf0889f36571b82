"""What differs between the brokers we know: their queues, how an urgent job overtakes, what a connection needs.

Redis keeps one queue a stage and serves it by priority. RabbitMQ's quorum queues, the kind that outlives a node of its
cluster, know no priorities (3.10) or two that share by weight (4.0): so an urgent job has a queue of its own there, and
workers take from both in turn. It waits for what a worker has at hand, and never for the backlog.
"""

import ssl
from collections.abc import Mapping
from typing import Any, Protocol

from kombu.entity import Queue

from shared.names import Priority, Stage
from shared.settings import Settings


class Broker(Protocol):
    """One kind of broker."""

    def queues(self) -> list[Queue]:
        """Every queue there is."""

    def queues_of(self, stage: Stage) -> list[str]:
        """What the stage's workers take from."""

    def route(self, stage: Stage, priority: Priority) -> Mapping[str, Any]:
        """Where a message goes, as Celery's `send_task` wants it."""

    def configuration(self, settings: Settings) -> Mapping[str, Any]:
        """What Celery must be told for this kind alone."""


def broker_of(url: str) -> Broker:
    """The kind that `url` names; whatever is not AMQP is taken for Redis, and refused when it is used."""
    return Amqp() if url.startswith(("amqp", "pyamqp")) else Redis()


class Redis:
    """Redis or Valkey."""

    #: kombu serves the lower number first.
    priorities: Mapping[Priority, int] = {Priority.STAT: 0, Priority.ROUTINE: 9}

    def queues(self) -> list[Queue]:
        """One a stage."""
        return [_queue(stage) for stage in Stage]

    def queues_of(self, stage: Stage) -> list[str]:
        """Its own."""
        return [stage.value]

    def route(self, stage: Stage, priority: Priority) -> Mapping[str, Any]:
        """By number within the stage's queue."""
        return {"queue": stage.value, "priority": self.priorities[priority]}

    def configuration(self, settings: Settings) -> Mapping[str, Any]:
        """Early acknowledgement, bounded waiting, and no message taken before a child is free for it."""
        options = {
            # Early acknowledgement makes the unacked set dead weight: five commands a message.
            "ack_emulation": False,
            "priority_steps": sorted(self.priorities.values()),
            # A hung broker holds up a 202 for this long, twice; longer than the second a BRPOP blocks.
            "socket_timeout": 3,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "retry_on_timeout": True,
            "health_check_interval": 10,
        }
        own = {"broker_transport_options": options, "worker_disable_prefetch": True}
        return own | self._tls(settings)

    def _tls(self, settings: Settings) -> dict[str, Any]:
        if not settings.effective_broker_url.startswith("rediss://"):
            return {}
        trusted = {"ssl_ca_certs": str(settings.redis_ca_file)} if settings.redis_ca_file else {}
        return {"broker_use_ssl": {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **trusted}}


class Amqp:
    """RabbitMQ."""

    def queues(self) -> list[Queue]:
        """Two a stage."""
        names = [name for stage in Stage for name in self.queues_of(stage)]
        return [_queue(name, queue_arguments={"x-queue-type": "quorum"}) for name in names]

    def queues_of(self, stage: Stage) -> list[str]:
        """The urgent one first; in which order they are named changes nothing."""
        return [_named(stage, priority) for priority in Priority]

    def route(self, stage: Stage, priority: Priority) -> Mapping[str, Any]:
        """By queue."""
        return {"queue": _named(stage, priority)}

    def configuration(self, settings: Settings) -> Mapping[str, Any]:
        """Publishing is confirmed, and waits for no hung broker."""
        options = {
            # A connection that went stale while nothing was published swallows a message without a word.
            "confirm_publish": True,
            "read_timeout": 5,
            "write_timeout": 3,
        }
        own = {
            "broker_transport_options": options,
            "broker_connection_timeout": 2,
            "broker_heartbeat": 30,
            "worker_consumer": "shared.quorum_consumer:QuorumConsumer",
        }
        return own | self._tls(settings)

    def _tls(self, settings: Settings) -> dict[str, Any]:
        if not settings.effective_broker_url.startswith("amqps://"):
            return {}
        trusted = {"ca_certs": str(settings.redis_ca_file)} if settings.redis_ca_file else {}
        # None: the name in the URL, which the certificate must then bear.
        return {"broker_use_ssl": {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None, **trusted}}


def _named(stage: Stage, priority: Priority) -> str:
    return stage.value if priority is Priority.ROUTINE else f"{stage}.{priority}"


def _queue(name: str, **options: Any) -> Queue:
    return Queue(name, durable=True, **options)  # type: ignore[no-untyped-call]
