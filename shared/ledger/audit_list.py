"""The events that happened and are not sealed yet: a list in the ledger, as durable as the jobs."""

from collections.abc import Sequence
from importlib.resources import files
from typing import cast

import redis

from shared.audit.chain import Head
from shared.ledger import scripts
from shared.ledger.replication import Replication
from shared.names import Key
from shared.redis_errors import converted


class AuditList:
    """Appends and hands over events as JSON texts; LedgerUnavailableError from each method."""

    def __init__(self, client: "redis.Redis", replication: Replication) -> None:
        self._redis = client
        self._replication = replication
        self._insist = client.register_script(scripts.INSIST)
        self._sealed = client.register_script(files("shared.ledger").joinpath("sealed.lua").read_text())

    def append(self, text: str) -> None:
        """Record what happens; durable where the server fsyncs.

        Also where its memory is full: sealing frees it again, and a result may be read meanwhile.
        """
        with converted():
            self._replication.run(self._insist, [Key.AUDIT], ["RPUSH", text])

    def waiting(self, limit: int) -> tuple[Head | None, list[str]]:
        """Up to which head all is sealed, and the next events; None: this ledger knows of no trail."""
        with converted(), self._redis.pipeline(transaction=True) as pipe:
            pipe.get(Key.AUDIT_HEAD)
            pipe.lrange(Key.AUDIT, 0, limit - 1)
            head, texts = cast(tuple[str | None, list[str]], tuple(pipe.execute()))
        if head is None:
            return None, texts
        number, line_hash = head.split()
        return Head(int(number), line_hash), texts

    def begin(self, head: Head) -> None:
        """From here on this ledger's events follow `head`; nothing changes where another was first."""
        with converted():
            self._redis.set(Key.AUDIT_HEAD, _text(head), nx=True)

    def sealed(self, head: Head, ids: Sequence[str]) -> None:
        """Forget these events and advance the head, in one step. Safe to repeat, in any order."""
        with converted():
            self._sealed(keys=[Key.AUDIT, Key.AUDIT_HEAD], args=[head.segment, _text(head), *ids])


def _text(head: Head) -> str:
    return f"{head.segment} {head.hash}"
