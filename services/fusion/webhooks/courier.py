"""Takes due deliveries from the ledger and makes their attempts, each in a thread of its own.

Beside the reaper's loop and never in it: a slow receiver delays no job. A delivery is held under a lease while it is
being sent, so that two reapers do not both send it; one that dies between sending and recording is sent again, with
the same `webhook-id`: at least once.
"""

import logging
import random
import secrets
import threading
import time
from datetime import UTC, datetime

from services.fusion.archive import find
from services.fusion.rounds import Rounds
from services.fusion.settings import FusionSettings
from services.fusion.webhooks.ladder import after
from services.fusion.webhooks.message import message
from services.fusion.webhooks.sender import Answer, Sender
from services.fusion.webhooks.signing import signed_headers
from shared.blob_store import BlobStore
from shared.contracts import DeliveryAttempt, DeliveryOutcome, DeliveryState, JobView
from shared.ledger import HeldDelivery, Ledger
from shared.names import JobRef
from shared.webhooks.log import StoredDelivery, keep
from shared.webhooks.secrets import WebhookSecrets

log = logging.getLogger(__name__)

#: A lease is longer than an attempt by this: a name server may be slow, and the blob store.
_LEASE_SLACK_S = 60.0


class Courier:
    """Sends what is due, `webhook_concurrency` at once."""

    def __init__(
        self, settings: FusionSettings, ledger: Ledger, blobs: BlobStore, sender: Sender | None = None
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._blobs = blobs
        self._secrets = WebhookSecrets(blobs)
        self._sender = sender or Sender(
            settings.webhook_destinations,
            timeout_s=settings.webhook_timeout_s,
            ca_file=settings.webhook_ca_file,
        )
        self._rounds = Rounds(
            "webhooks",
            ledger.deliveries,
            self.deliver,
            concurrency=settings.webhook_concurrency,
            interval_s=settings.reaper_interval_s,
        )

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop; attempts under way are then left to their end."""
        self._rounds.run(stop)

    def look(self) -> bool:
        """Begin the attempts that are due and for which there is a thread; True if there may be more at once."""
        return self._rounds.look()

    def deliver(self, ref: JobRef) -> None:
        """Make one attempt if it is due, and record it; MediScanError while ledger or blob store is away."""
        token = secrets.token_hex(8)
        lease_s = self._settings.webhook_timeout_s + _LEASE_SLACK_S
        held = self._ledger.deliveries.claim(ref, token=token, lease_s=lease_s)
        if held is None:
            return
        if held.delivery.state is DeliveryState.PENDING:
            job = find(ref, self._ledger, self._blobs)
            if job is None:
                self._ledger.deliveries.forget(ref, whatever_its_state=True)
                return
            self._attempt(held, job, token)
        self._archive(ref)

    def _attempt(self, held: HeldDelivery, job: JobView, token: str) -> None:
        at, began = datetime.now(UTC), time.monotonic()
        answer = self._send(held, job, int(at.timestamp()))
        duration_ms = round((time.monotonic() - began) * 1000, 3)
        attempt = DeliveryAttempt(
            at=at, outcome=answer.outcome, status=answer.status, duration_ms=duration_ms
        )
        state, wait_s = after(answer.outcome, held.tries + 1, answer.retry_after_s, random.random)
        self._ledger.deliveries.record(held.ref, token, attempt, state, wait_s)
        log.info(
            "webhook: %s, now %s",
            answer.outcome,
            state,
            extra={"job": held.ref, "status": answer.status},
        )

    def _send(self, held: HeldDelivery, job: JobView, timestamp: int) -> Answer:
        signing = [secret.secret.get_secret_value() for secret in self._secrets.valid(held.ref.tenant)]
        if not signing:
            return Answer(DeliveryOutcome.UNSIGNED)
        body = message(job, held.delivery.event)
        return self._sender.send(held.url, signed_headers(signing, held.delivery.id, timestamp, body), body)

    def _archive(self, ref: JobRef) -> None:
        """Once it has ended, the log goes to the blob store and out of the ledger. Safe to repeat."""
        held = self._ledger.deliveries.read(ref)
        if held is not None and held.delivery.state is not DeliveryState.PENDING:
            keep(self._blobs, ref, StoredDelivery(url=held.url, delivery=held.delivery))
            self._ledger.deliveries.forget(ref)
