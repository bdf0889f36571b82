"""Celery's consumer without what it adds for quorum queues: a tower of 28 queues that delays messages.

Nothing here is published for later: long waits belong to the reaper. Celery names this class by its setting
`worker_consumer`, and only where the broker is RabbitMQ (`shared/brokers.py`).
"""

from celery.worker.consumer.consumer import Consumer


class QuorumConsumer(Consumer):  # type: ignore[misc]
    """Takes messages from quorum queues."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """The steps that a consumer is made of."""

        default_steps = tuple(
            step for step in Consumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")
        )
