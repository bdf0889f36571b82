"""What is to be told of a job that has ended, and gone once it is: webhooks, and DICOM objects for the PACS.

A webhook is made due in the step that ends the job (`lua/prelude.lua`), an export by whoever archives it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, cast

import redis

from shared.contracts import Delivery, DeliveryAttempt, DeliveryState, DeliveryTarget, WebhookEvent
from shared.names import JobRef, Key
from shared.redis_errors import converted


@dataclass(frozen=True)
class Webhook:
    """Whom to tell of a job's end, and of which ends."""

    url: str
    events: tuple[WebhookEvent, ...]


@dataclass(frozen=True)
class HeldDelivery:
    """A delivery as the ledger holds it."""

    ref: JobRef
    url: str
    delivery: Delivery
    #: Attempts so far.
    tries: int


_KEYS: dict[DeliveryTarget, tuple[str, Callable[[JobRef], str]]] = {
    DeliveryTarget.WEBHOOK: (Key.DELIVERIES, Key.delivery),
    DeliveryTarget.PACS: (Key.EXPORTS, Key.export),
}


def delivery_id(ref: JobRef, target: DeliveryTarget = DeliveryTarget.WEBHOOK) -> str:
    """The same for every attempt: a job ends once."""
    prefix = {DeliveryTarget.WEBHOOK: "msg", DeliveryTarget.PACS: "dcm"}[target]
    return f"{prefix}_{ref.job_id.removeprefix('job_')}"


class DeliveryList:
    """Hands deliveries to one target out under leases; LedgerUnavailableError from each method."""

    def __init__(self, client: "redis.Redis", target: DeliveryTarget = DeliveryTarget.WEBHOOK) -> None:
        self._redis = client
        self._target = target
        self._due, self._key = _KEYS[target]
        self._add, self._claim, self._record, self._forget, self._again = (
            client.register_script(files("shared.ledger").joinpath(f"delivery_{name}.lua").read_text())
            for name in ("add", "claim", "record", "forget", "again")
        )

    def add(self, ref: JobRef, url: str, event: WebhookEvent) -> bool:
        """Make a delivery due now; False where it is there already."""
        with converted():
            return bool(self._add(keys=self._keys(ref), args=[str(ref), url, event]))

    def due(self, limit: int) -> list[JobRef]:
        """Up to `limit` deliveries whose time has come, the longest overdue first."""
        with converted():
            seconds, micros = self._redis.time()
            now = seconds + micros / 1e6
            found = cast(list[str], self._redis.zrangebyscore(self._due, "-inf", now, start=0, num=limit))
        return [JobRef.parse(text) for text in found]

    def claim(self, ref: JobRef, *, token: str, lease_s: float) -> HeldDelivery | None:
        """Take a due delivery; None where there is none, or somebody else holds it.

        token: unique to this attempt; repeating the call with the same one is harmless.
        """
        with converted():
            flat = cast(list[str], self._claim(keys=self._keys(ref), args=[str(ref), token, lease_s]))
        return self._parse(ref, dict(zip(flat[::2], flat[1::2], strict=True)), due=None) if flat else None

    def record(
        self, ref: JobRef, token: str, attempt: DeliveryAttempt, state: DeliveryState, wait_s: float
    ) -> bool:
        """Note an attempt; the delivery is due again in `wait_s`. False where another holds it: nothing is noted."""
        args: list[str | float] = [str(ref), token, attempt.model_dump_json(), state, wait_s]
        with converted():
            return bool(self._record(keys=self._keys(ref), args=args))

    def read(self, ref: JobRef) -> HeldDelivery | None:
        """The delivery as it stands; None where there is none, or it is in the blob store already."""
        with converted():
            fields = cast(dict[str, str], self._redis.hgetall(self._key(ref)))
            due = self._redis.zscore(self._due, str(ref))
        return self._parse(ref, fields, due=due) if fields else None

    def again(self, ref: JobRef, ended: tuple[str, Delivery] | None = None) -> bool:
        """Make a delivery due at once, whatever became of it; False where the ledger has none.

        ended: receiver and log of one that is in the blob store already: it then comes back.
        """
        args = [str(ref)]
        if ended is not None:
            url, delivery = ended
            attempts = "".join(f"{attempt.model_dump_json()}\n" for attempt in delivery.attempts)
            args += [url, delivery.event, attempts]
        with converted():
            return bool(self._again(keys=self._keys(ref), args=args))

    def forget(self, ref: JobRef, *, whatever_its_state: bool = False) -> None:
        """Drop a delivery that has ended; one that was made due again meanwhile stays."""
        with converted():
            self._forget(keys=self._keys(ref), args=[str(ref), str(int(whatever_its_state))])

    def _keys(self, ref: JobRef) -> Sequence[str]:
        return [self._due, self._key(ref)]

    def _parse(self, ref: JobRef, fields: dict[str, Any], *, due: float | None) -> HeldDelivery:
        attempts = fields.get("attempts", "").splitlines()
        state = DeliveryState(fields["state"])
        if state is not DeliveryState.PENDING:
            due = None
        delivery = Delivery(
            id=delivery_id(ref, self._target),
            target=self._target,
            event=WebhookEvent(fields["event"]),
            state=state,
            attempts=tuple(DeliveryAttempt.tolerant(text) for text in attempts),
            next_attempt_at=datetime.fromtimestamp(due, tz=UTC) if due is not None else None,
        )
        return HeldDelivery(ref, fields["url"], delivery, int(fields.get("tries", "0")))
