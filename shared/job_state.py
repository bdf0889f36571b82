"""The states of a job and of its stages, and the one table of allowed transitions.

Pure: no Redis, no clock. The ledger's Lua scripts are generated with these tables in them
(`shared/ledger/scripts.py`), so there is no second copy that could drift.
"""

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    #: Recorded and durable; no reader has begun.
    QUEUED = "queued"
    #: At least one reader has claimed it.
    RUNNING = "running"
    #: A fused result is stored.
    COMPLETED = "completed"
    #: No result can be made; the error says why.
    FAILED = "failed"
    #: The caller called it off.
    CANCELLED = "cancelled"
    #: Its absolute deadline passed first.
    EXPIRED = "expired"


class StageState(StrEnum):
    """Where one stage (ML reading, Gemini reading, fusion) of a job stands."""

    #: Not to be started yet (fusion, until both readings are settled).
    WAITING = "waiting"
    #: To be claimed by a worker; a message is, or should be, in the queue.
    PENDING = "pending"
    #: A worker holds it under a lease.
    CLAIMED = "claimed"
    #: Settled with an outcome.
    DONE = "done"
    #: Settled without one; the reason is stored.
    UNAVAILABLE = "unavailable"
    #: Never attempted, decided at submission.
    SKIPPED = "skipped"


JOB_TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset(
        {JobState.RUNNING, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED},
    ),
    JobState.RUNNING: frozenset(
        {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED},
    ),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.EXPIRED: frozenset(),
}

STAGE_TRANSITIONS: Mapping[StageState, frozenset[StageState]] = {
    StageState.WAITING: frozenset({StageState.PENDING}),
    StageState.PENDING: frozenset({StageState.CLAIMED, StageState.UNAVAILABLE}),
    # Back to pending only when the lease has run out; the reaper does that.
    StageState.CLAIMED: frozenset({StageState.PENDING, StageState.DONE, StageState.UNAVAILABLE}),
    StageState.DONE: frozenset(),
    StageState.UNAVAILABLE: frozenset(),
    StageState.SKIPPED: frozenset(),
}

#: States that nothing leaves: whatever arrives later is absorbed.
TERMINAL = frozenset(state for state, after in JOB_TRANSITIONS.items() if not after)

#: A reading in one of these needs no more work.
SETTLED = frozenset(state for state, after in STAGE_TRANSITIONS.items() if not after)


class TransitionRefusedError(ValueError):
    """The table does not allow this step."""


def advance(state: JobState, to: JobState) -> JobState:
    """Return `to` if the table allows a job to go there from `state`; TransitionRefusedError otherwise."""
    if to not in JOB_TRANSITIONS[state]:
        raise TransitionRefusedError(f"a job does not go from {state} to {to}")
    return to


def advance_stage(state: StageState, to: StageState) -> StageState:
    """Return `to` if the table allows a stage to go there from `state`; TransitionRefusedError otherwise."""
    if to not in STAGE_TRANSITIONS[state]:
        raise TransitionRefusedError(f"a stage does not go from {state} to {to}")
    return to
