"""Drives jobs through a ledger, and makes time pass for them by moving what the ledger wrote into the past."""

from collections.abc import Collection, Mapping
from typing import cast

import redis

from shared.contracts import FusedResult, GeminiReading, MlReading
from shared.job_state import JobState
from shared.ledger import Action, Claim, JobRecord, Ledger
from shared.names import JobRef, Key, Stage
from tests.support.samples import (
    PROBLEM,
    UNREADABLE,
    fused_result,
    gemini_reading,
    ml_reading,
    new_job,
    new_ref,
    new_token,
)

EVERY_STAGE = frozenset(Stage)

#: What a healthy reader says.
READINGS: Mapping[Stage, MlReading | GeminiReading] = {
    Stage.ML: ml_reading(),
    Stage.GEMINI: gemini_reading(),
}


class Jobs:
    """Shortcuts over one ledger; `redis` is a plain client of the same server."""

    def __init__(self, ledger: Ledger, client: "redis.Redis") -> None:
        self.ledger = ledger
        self.redis = client

    # --- along the path -----------------------------------------------------------------------------------

    def create(self, **changed: object) -> JobRef:
        """A new job, as the gateway records it."""
        ref = new_ref()
        self.ledger.create(ref, new_job(**changed))
        return ref

    def claim(self, ref: JobRef, stage: Stage, token: str | None = None) -> Claim:
        """A claim that must succeed."""
        claim = self.ledger.claim(ref, stage, token=token or new_token())
        assert claim is not None, f"{stage} of {ref} cannot be claimed"
        return claim

    def settle(self, ref: JobRef, stage: Stage) -> Claim:
        """Claim and settle a reading."""
        claim = self.claim(ref, stage)
        self.ledger.settle(claim, READINGS[stage])
        return claim

    def fusable(self) -> JobRef:
        """A job with both readings settled."""
        ref = self.create()
        self.settle(ref, Stage.ML)
        self.settle(ref, Stage.GEMINI)
        return ref

    def complete(self, ref: JobRef, result: FusedResult | None = None) -> Claim:
        """Claim fusion and complete."""
        claim = self.claim(ref, Stage.FUSION)
        assert self.ledger.complete(claim, result or fused_result())
        return claim

    def ended(self, state: JobState) -> JobRef:
        """A job that reached a terminal state with all of its work claimed by somebody on the way."""
        if state is JobState.COMPLETED:
            ref = self.fusable()
            self.complete(ref)
            return ref
        ref = self.create()
        claim = self.claim(ref, Stage.ML)
        self.claim(ref, Stage.GEMINI)
        if state is JobState.FAILED:
            assert self.ledger.fail(claim, PROBLEM, UNREADABLE)
        elif state is JobState.CANCELLED:
            self.ledger.cancel(ref)
        else:
            self.long_ago(ref, "deadline_at")
            self.reap(ref)
        assert self.record(ref).state is state
        return ref

    # --- time ---------------------------------------------------------------------------------------------

    def long_ago(self, ref: JobRef, *fields: str, seconds: float = 1) -> None:
        """Move these times of a job to `seconds` ago, and make it due."""
        then = self.now() - seconds
        for field in fields:
            self.redis.hset(Key.job(ref), field, f"{then:.6f}")
        self.redis.zadd(Key.DUE, {str(ref): then})

    def now(self) -> float:
        """The ledger's clock."""
        seconds, micros = self.redis.time()
        return float(seconds + micros / 1e6)

    # --- the reaper ---------------------------------------------------------------------------------------

    def reap(
        self,
        ref: JobRef,
        *,
        empty: Collection[Stage] = (),
        deserted: Collection[Stage] = (),
    ) -> list[Stage | None]:
        """Have the reaper look at one job; the stages it must publish, None for `archive`."""
        actions = self.ledger.reap([ref], empty=set(empty), deserted=set(deserted))
        return [action.stage for action in actions]

    def reap_due(self, *, empty: Collection[Stage] = ()) -> list[Action]:
        """One round of the reaper over everything that is due."""
        return self.ledger.reap(self.ledger.due(10_000), empty=set(empty), deserted=set())

    # --- looking ------------------------------------------------------------------------------------------

    def record(self, ref: JobRef) -> JobRecord:
        """The job as the ledger reads it; it must exist."""
        record = self.ledger.read(ref)
        assert record is not None, f"{ref} is gone"
        return record

    def stored(self, ref: JobRef) -> dict[str, str]:
        """Every field as Redis holds it."""
        return cast(dict[str, str], self.redis.hgetall(Key.job(ref)))

    def number(self, ref: JobRef, field: str) -> float:
        """One stored time or count."""
        return float(self.stored(ref)[field])

    def due_at(self, ref: JobRef) -> float | None:
        """When the reaper must look at the job next; None when never."""
        return self.redis.zscore(Key.DUE, str(ref))
