"""Has a step of a job reach replicas before anybody is told of it, so that a failover forgets nothing that was said.

Replication is asynchronous: a primary that dies takes what it had not sent yet with it. WAIT tells how many replicas
hold what one connection wrote, so step and WAIT go out together on one connection, and together once more if that
breaks: a step repeated on a new primary writes again whatever was lost with the old one. A small write stands between
them, because a step that found its work done writes nothing to wait for.
"""

import logging
from collections.abc import Sequence
from typing import Any

import redis

from shared.errors import LedgerUnavailableError
from shared.ledger import scripts
from shared.names import Key

log = logging.getLogger(__name__)

_WAIT_MS = 1000
#: A primary that was a replica a moment ago does not know our scripts.
_TRIES = 3


class Replication:
    """Runs scripts so that their effect is on `replicas` replicas when they return; 0: as any script runs."""

    def __init__(self, client: "redis.Redis", replicas: int) -> None:
        self._redis = client
        self._replicas = replicas
        self._mark = client.register_script(scripts.INSIST)

    def run(self, script: Any, keys: Sequence[str], args: Sequence[str]) -> Any:
        """What the script returns; LedgerUnavailableError where too few replicas confirm it, though it may stand."""
        if not self._replicas:
            return script(keys=keys, args=args)
        found, *waited = self._together(script, keys, args)
        for _ in range(_TRIES - 1):
            if not any(isinstance(reply, redis.exceptions.NoScriptError) for reply in (found, *waited)):
                break
            for missing in (script, self._mark):
                self._redis.script_load(missing.script)
            found, *waited = self._together(script, keys, args)
        if isinstance(found, Exception):
            raise found
        self._insist(waited)
        return found

    def _together(self, script: Any, keys: Sequence[str], args: Sequence[str]) -> list[Any]:
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.evalsha(script.sha, len(keys), *keys, *args)
            pipe.evalsha(self._mark.sha, 1, Key.COUNTERS, "HSET", "probe", "1")
            pipe.wait(self._replicas, _WAIT_MS)
            return list(pipe.execute(raise_on_error=False))

    def _insist(self, waited: Sequence[Any]) -> None:
        refused = next((reply for reply in waited if isinstance(reply, Exception)), None)
        if refused is not None:
            raise LedgerUnavailableError(
                "The job ledger's replicas cannot be reached right now."
            ) from refused
        if waited[-1] < self._replicas:
            log.warning("%d of %d replicas confirm a write", waited[-1], self._replicas)
            raise LedgerUnavailableError("The job ledger's replicas cannot be reached right now.")
