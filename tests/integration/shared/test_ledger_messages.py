"""Ledger and messages model-checked together: workers that die between any two steps, over a broker that misbehaves.

`test_ledger_model.py` lets the reaper believe anything of the queues. Here it sees the queues as they are, so a lost
message must be found by itself: in an empty queue, and in one that is never empty.
"""

import os
from collections.abc import Callable
from enum import StrEnum, auto

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.job_state import TERMINAL
from shared.ledger import Action, Claim, Settled
from shared.names import JobRef, Key, Stage
from tests.integration.shared.test_ledger_model import FINAL_FIELDS, WAITS, Stored
from tests.support.jobs import READINGS, Jobs
from tests.support.samples import SKIPPED, fused_result, new_job, new_ref, new_token

MAX_DELIVERIES = 3
MAX_JOBS = 3
#: Far more than any job needs: each of three stages delivered as often as it may be, and a look in between.
_ROUNDS = 40
_AGO_S = 60.0


class Fate(StrEnum):
    """Where a worker dies on a message."""

    NOWHERE = auto()
    AFTER_POP = auto()
    AFTER_CLAIM = auto()
    #: Settled or completed; fusion not published, the finished job not archived.
    AFTER_SETTLE = auto()


class MessageMachine(RuleBasedStateMachine):
    """One empty ledger and one queue a stage."""

    jobs: Jobs

    def __init__(self) -> None:
        super().__init__()
        self.queues: dict[Stage, list[JobRef]] = {stage: [] for stage in Stage}
        self.refs: list[JobRef] = []
        self.hung: list[Claim] = []
        self.stale: list[JobRef] = []
        self.finals: dict[JobRef, dict[str, str | None]] = {}

    @initialize()
    def empty(self) -> None:
        self.jobs.redis.flushall()

    # --- what may happen ----------------------------------------------------------------------------------

    @precondition(lambda self: len(self.refs) < MAX_JOBS)
    @rule(asks_gemini=st.booleans(), is_published=st.booleans())
    def submit(self, asks_gemini: bool, is_published: bool) -> None:
        """`is_published` false: the gateway died between the ledger and the broker."""
        self.refs.append(self.create(asks_gemini=asks_gemini, is_published=is_published))

    @rule(stage=st.sampled_from(Stage), place=st.integers(0, 5), fate=st.sampled_from(Fate))
    def deliver(self, stage: Stage, place: int, fate: Fate) -> None:
        """A place other than the first is another order."""
        if place >= len(self.queues[stage]):
            return
        ref = self.queues[stage].pop(place)
        if fate is not Fate.AFTER_POP:
            self.work(ref, stage, fate)

    @rule(stage=st.sampled_from(Stage), copies=st.sampled_from([0, 2]))
    def lose_or_repeat_messages(self, stage: Stage, copies: int) -> None:
        self.queues[stage] = self.queues[stage] * copies

    @precondition(lambda self: self.hung)
    @rule(data=st.data())
    def a_hung_worker_goes_on(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.hung))
        self.hung.remove(claim)
        self.finish(claim, Fate.NOWHERE)

    @rule(knows_queues=st.booleans(), dies=st.booleans())
    def reap(self, knows_queues: bool, dies: bool) -> None:
        """Not knowing: the broker is away. Dying: between the script and what it asked for."""
        self.stale = self.jobs.ledger.due(100)
        self.look(self.stale, knows_queues=knows_queues, dies=dies)

    @precondition(lambda self: self.stale)
    @rule(dies=st.booleans())
    def another_reaper_looks_at_the_same_list(self, dies: bool) -> None:
        self.look(self.stale, knows_queues=True, dies=dies)

    @precondition(lambda self: self.refs)
    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        self.age(data.draw(st.sampled_from(self.refs)))

    # --- what must hold -----------------------------------------------------------------------------------

    @invariant()
    def an_end_is_final(self) -> None:
        for ref in self.refs:
            job = self.jobs.stored(ref)
            if job["state"] in TERMINAL:
                final = {name: job.get(name) for name in FINAL_FIELDS}
                assert self.finals.setdefault(ref, final) == final

    def teardown(self) -> None:
        """Nothing dies any more, and new jobs keep every queue from ever being empty: all the same each job ends."""
        try:
            self.bring_to_an_end()
        finally:
            super().teardown()

    def bring_to_an_end(self) -> None:
        for _ in range(_ROUNDS):
            if all(self.jobs.due_at(ref) is None for ref in self.refs):
                break
            for ref in self.refs:
                self.age(ref)
            self.create(asks_gemini=True, is_published=True)
            for stage in (Stage.ML, Stage.GEMINI):
                *now, last = self.queues[stage]
                self.queues[stage] = [last]
                for ref in now:
                    self.work(ref, stage, Fate.NOWHERE)
            while self.queues[Stage.FUSION]:
                self.work(self.queues[Stage.FUSION].pop(0), Stage.FUSION, Fate.NOWHERE)
            self.look(self.jobs.ledger.due(100), knows_queues=True, dies=False)
            self.an_end_is_final()
        assert {ref: self.jobs.record(ref).state in TERMINAL for ref in self.refs} == dict.fromkeys(
            self.refs, True
        )
        assert all(self.jobs.due_at(ref) is None for ref in self.refs)

    # --- the parts ----------------------------------------------------------------------------------------

    def create(self, *, asks_gemini: bool, is_published: bool) -> JobRef:
        ref = new_ref()
        self.jobs.ledger.create(ref, new_job(gemini_skipped=None if asks_gemini else SKIPPED))
        if is_published:
            self.queues[Stage.ML].append(ref)
            if asks_gemini:
                self.queues[Stage.GEMINI].append(ref)
        return ref

    def work(self, ref: JobRef, stage: Stage, fate: Fate) -> None:
        claim = self.jobs.ledger.claim(ref, stage, token=new_token())
        if claim is None:
            return
        if fate is Fate.AFTER_CLAIM:
            self.hung.append(claim)  # dead, or only slow: it may still go on
        else:
            self.finish(claim, fate)

    def finish(self, claim: Claim, fate: Fate) -> None:
        if claim.stage is Stage.FUSION:
            done = self.jobs.ledger.complete(claim, fused_result())
            if done and fate is Fate.NOWHERE:
                self.jobs.ledger.archived(claim.job.ref)
        elif self.jobs.ledger.settle(claim, READINGS[claim.stage]) is Settled.FUSE and fate is Fate.NOWHERE:
            self.queues[Stage.FUSION].append(claim.job.ref)

    def look(self, due: list[JobRef], *, knows_queues: bool, dies: bool) -> None:
        empty = {stage for stage, queue in self.queues.items() if not queue} if knows_queues else set()
        actions = self.jobs.ledger.reap(due, empty=empty, deserted=set())
        for action in [] if dies else actions:
            self.carry_out(action)

    def carry_out(self, action: Action) -> None:
        if action.stage is None:
            self.jobs.ledger.archived(action.ref)
        else:
            self.queues[action.stage].append(action.ref)

    def age(self, ref: JobRef) -> None:
        """A minute passes for a job: what it waits for is over, and its messages are old."""
        job = self.jobs.stored(ref)
        if self.jobs.due_at(ref) is None:
            return
        published = {name: at for name, at in _published(job) if at > 0}
        if published:
            self.jobs.redis.hset(Key.job(ref), mapping={n: at - _AGO_S for n, at in published.items()})
        self.jobs.long_ago(ref, *[name for name in WAITS if name in job])


def _published(job: Stored) -> list[tuple[str, float]]:
    names = [f"{stage}.published_at" for stage in Stage]
    return [(name, float(job[name])) for name in names if name in job]


def test_no_death_and_no_loss_of_messages_leaves_a_job_behind(make_jobs: Callable[..., Jobs]) -> None:
    MessageMachine.jobs = make_jobs(max_deliveries=MAX_DELIVERIES)

    run_state_machine_as_test(
        MessageMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            derandomize="CI" in os.environ,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
