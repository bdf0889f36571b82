"""The ledger model-checked: any order of calls, repeats, crashes and passing time, against a real Valkey.

A crash between two steps needs no rule of its own: it is the follow-up that never comes. After every run
the reaper and well-behaved workers take over, and each job must then end exactly once.
"""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.contracts import WebhookEvent
from shared.errors import HouseFullError, TooManyError
from shared.job_state import JOB_TRANSITIONS, STAGE_TRANSITIONS, TERMINAL, JobState
from shared.ledger import Alias, AliasKind, Claim, Known, Limits, Repeatable, Webhook
from shared.ledger.admission import UNLIMITED
from shared.names import JobRef, Key, Priority, Stage
from tests.support.jobs import EVERY_STAGE, READINGS, Jobs
from tests.support.samples import (
    PROBLEM,
    RATE_LIMITED,
    SKIPPED,
    UNREADABLE,
    fused_result,
    image_facts,
    ml_reading,
    new_job,
    new_ref,
    new_token,
)

MAX_DELIVERIES = 3

_URL = "https://receiver.example/"

#: Few, so that each of them sees many steps.
MAX_JOBS = 2

TENANTS = ("a", "b")

#: What a job keeps for ever once it is over.
FINAL_FIELDS = ("state", "result", "error", "version", "ended_at", "ml.reading", "gemini.reading")

#: The times that `time passes` moves into the past.
WAITS = tuple(f"{stage}.{time}" for stage in Stage for time in ("look_at", "lease_until"))
TIMES = (*WAITS, *(f"{stage}.published_at" for stage in Stage), "ml.settled_at", "deadline_at")

Stored = dict[str, str]


def reachable(table: Any, start: str) -> frozenset[str]:
    """What the table leads to from `start` in any number of steps, `start` included. A member is its string."""
    seen, todo = {start}, [start]
    while todo:
        news = table[todo.pop()] - seen
        seen |= news
        todo += news
    return frozenset(seen)


def scored(found: Any) -> list[tuple[str, float]]:
    """As redis-py answers `withscores=True`, which its types do not say."""
    return list(found)


class LedgerMachine(RuleBasedStateMachine):
    """One empty ledger; rules are what gateways, workers, callers, the reaper and time may do to it."""

    jobs: Jobs
    refs = Bundle("refs")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.last_seen: dict[JobRef, Stored] = {}
        self.calls: list[Callable[[], object]] = []
        self.erased: set[JobRef] = set()
        self.newest: dict[str, JobRef] = {}
        self.aliases: dict[tuple[str, Alias], tuple[str, str]] = {}

    @initialize()
    def empty(self) -> None:
        self.jobs.redis.flushall()

    def call(self, call: Callable[[], Any]) -> Any:
        """Do it, and remember it for `duplicate`."""
        self.calls.append(call)
        return call()

    # --- what may happen ----------------------------------------------------------------------------------

    @precondition(lambda self: len(self.last_seen) < MAX_JOBS)
    @rule(
        target=refs,
        asks_gemini=st.booleans(),
        tenant=st.sampled_from(TENANTS),
        events=st.sets(st.sampled_from(WebhookEvent)),
    )
    def create(self, asks_gemini: bool, tenant: str, events: set[WebhookEvent]) -> JobRef:
        ref = new_ref(tenant)
        webhook = Webhook(_URL, tuple(events)) if events else None
        new = new_job(gemini_skipped=None if asks_gemini else SKIPPED, webhook=webhook)
        self.call(lambda: self.jobs.ledger.create(ref, new))
        self.newest[tenant] = ref
        return ref

    @rule(
        target=refs,
        tenant=st.sampled_from(TENANTS),
        text=st.sampled_from(["", "k", "l"]),
        kind=st.sampled_from(AliasKind),
        fingerprint=st.sampled_from("fg"),
        deduplicate=st.booleans(),
    )
    def submit(self, tenant: str, text: str, kind: AliasKind, fingerprint: str, *, deduplicate: bool) -> Any:
        """Every submission is over the same image; all but one in a tenant may be the same."""
        alias = Alias(kind, text) if text else None
        known = self.what_is_known(tenant, alias, fingerprint, deduplicate)
        if known is None and len(self.last_seen) >= MAX_JOBS:
            return multiple()
        ref, again = new_ref(tenant), Repeatable(fingerprint, alias, deduplicate)
        made = self.call(lambda: self.jobs.ledger.create_once(ref, new_job(), again, UNLIMITED))
        job_id = made.job_id if isinstance(made, Known) else made.ref.job_id
        if alias is not None:
            self.aliases.setdefault((tenant, alias), (job_id, fingerprint))
        if known is not None:
            assert made == known
            return multiple()
        assert made == self.jobs.record(ref)
        self.newest[tenant] = ref
        return ref

    def what_is_known(
        self, tenant: str, alias: Alias | None, fingerprint: str, deduplicate: bool
    ) -> Known | None:
        if alias is not None and (tenant, alias) in self.aliases:
            job_id, submitted = self.aliases[tenant, alias]
            return Known(job_id, is_same=submitted == fingerprint)
        twin = self.newest.get(tenant)
        if deduplicate and twin and self.last_seen[twin]["state"] not in TERMINAL - {JobState.COMPLETED}:
            return Known(twin.job_id, is_same=True)
        return None

    @rule(tenant=st.sampled_from(TENANTS), max_live=st.integers(0, MAX_JOBS), of_tenant=st.booleans())
    def a_full_house_refuses(self, tenant: str, max_live: int, of_tenant: bool) -> None:
        live = Counter(ref.tenant for ref, job in self.last_seen.items() if job["state"] not in TERMINAL)
        held = live[tenant] if of_tenant else live.total()
        if held < max_live:
            return
        limits = Limits(max_live_of_tenant=max_live) if of_tenant else Limits(max_live=max_live)
        admission = self.jobs.ledger.admit(new_ref(tenant), limits)
        assert admission.verdict == ("tenant_full" if of_tenant else "house_full")
        with pytest.raises(TooManyError if of_tenant else HouseFullError):
            self.jobs.ledger.create(new_ref(tenant), new_job(), admission)

    @rule(target=claims, ref=refs, stage=st.sampled_from(Stage))
    def claim(self, ref: JobRef, stage: Stage) -> Any:
        token = new_token()
        claim = self.call(lambda: self.jobs.ledger.claim(ref, stage, token=token))
        return multiple() if claim is None else claim

    @rule(claim=claims, is_available=st.booleans())
    def settle(self, claim: Claim, is_available: bool) -> None:
        if claim.stage is Stage.FUSION:
            return
        reading = READINGS[claim.stage] if is_available else RATE_LIMITED
        self.call(lambda: self.jobs.ledger.settle(claim, reading))

    @rule(claim=claims, percent=st.integers(0, 100))
    def conclude(self, claim: Claim, percent: int) -> None:
        if claim.stage is Stage.ML and claim.job.gemini == SKIPPED:
            result = fused_result(p_positive=percent / 100)
            self.call(lambda: self.jobs.ledger.conclude(claim, ml_reading(), result))

    @rule(claim=claims)
    def release(self, claim: Claim) -> None:
        self.call(lambda: self.jobs.ledger.release(claim, "broke"))

    @rule(claim=consumes(claims))
    def fail(self, claim: Claim) -> None:
        self.call(lambda: self.jobs.ledger.fail(claim, PROBLEM, UNREADABLE))

    @rule(claim=claims, percent=st.integers(0, 100))
    def complete(self, claim: Claim, percent: int) -> None:
        result = fused_result(p_positive=percent / 100)
        self.call(lambda: self.jobs.ledger.complete(claim, result))

    @rule(target=claims, ref=refs)
    def a_worker_works(self, ref: JobRef) -> Any:
        for stage in Stage:
            claim = self.claim(ref, stage)
            if isinstance(claim, Claim):
                self.complete(claim, percent=50)
                self.settle(claim, is_available=True)
                return claim
        return multiple()

    @rule(ref=refs, is_certain=st.sampled_from([False, False, False, True]))
    def cancel(self, ref: JobRef, is_certain: bool) -> None:
        if is_certain:
            self.call(lambda: self.jobs.ledger.cancel(ref))

    @rule(ref=refs, is_certain=st.sampled_from([False, False, False, True]))
    def erase(self, ref: JobRef, is_certain: bool) -> None:
        if not is_certain or ref not in self.last_seen:
            return
        for _ in range(2):  # a lost reply
            self.jobs.ledger.erase(ref, image_facts(), None)
        self.calls.clear()  # a repeat of its creation would come much sooner
        del self.last_seen[ref]
        self.erased.add(ref)
        if self.newest.get(ref.tenant) == ref:
            del self.newest[ref.tenant]
        self.aliases = {
            name: known
            for name, known in self.aliases.items()
            if (name[0], known[0]) != (ref.tenant, ref.job_id)
        }

    @rule(ref=refs)
    def archive(self, ref: JobRef) -> None:
        self.call(lambda: self.jobs.ledger.archived(ref))

    @rule(empty=st.sets(st.sampled_from(Stage)), deserted=st.sets(st.sampled_from(Stage)))
    def reap(self, empty: set[Stage], deserted: set[Stage]) -> None:
        due = self.jobs.ledger.due(100)
        self.call(lambda: self.jobs.ledger.reap(due, empty=empty, deserted=deserted))

    @rule(empty=st.sets(st.sampled_from(Stage)), named=st.sets(refs))
    def reap_suspects(self, empty: set[Stage], named: set[JobRef]) -> None:
        """Those that the ledger suspects, and others: it must not matter whom somebody suspects."""
        found = [*self.jobs.ledger.suspects(100, empty=empty), *sorted(named)]
        self.call(lambda: self.jobs.ledger.reap(found, empty=empty, deserted=set(), suspected=True))

    @rule(ref=refs, stage=st.sampled_from(Stage), times=st.integers(1, MAX_DELIVERIES + 1))
    def workers_die(self, ref: JobRef, stage: Stage, times: int) -> None:
        for _ in range(times):
            self.claim(ref, stage)
            self.every_job_is_sound()
            self.time_passes(ref, f"{stage}.lease_until")
            self.reap(empty=set(), deserted=set())

    @rule(ref=refs)
    def the_grace_ends(self, ref: JobRef) -> None:
        self.settle_ml(ref)
        self.every_job_is_sound()
        self.time_passes(ref, "ml.settled_at")
        self.reap(empty=set(), deserted=set())

    def settle_ml(self, ref: JobRef) -> None:
        claim = self.claim(ref, Stage.ML)
        if isinstance(claim, Claim):
            self.settle(claim, is_available=True)

    @rule(ref=refs, field=st.sampled_from(TIMES))
    def time_passes(self, ref: JobRef, field: str) -> None:
        if field in self.jobs.stored(ref) and self.jobs.due_at(ref) is not None:
            self.jobs.long_ago(ref, field, seconds=60)
            self.last_seen[ref][field] = self.jobs.stored(ref)[field]

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def duplicate(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.calls))()

    # --- what must hold after each step -------------------------------------------------------------------

    @invariant()
    def every_job_is_sound(self) -> None:
        for key in self.jobs.redis.scan_iter("mediscan:job:*"):
            ref = JobRef(*key.split(":")[2:])
            now = self.jobs.stored(ref)
            self.check_alone(ref, now)
            if ref in self.last_seen:
                self.check_step(self.last_seen[ref], now)
            self.last_seen[ref] = now

    @invariant()
    def nothing_is_left_of_an_erased_job(self) -> None:
        for ref in self.erased:
            assert self.jobs.ledger.read(ref) is None
            assert self.jobs.ledger.is_erased(ref)
            assert self.jobs.due_at(ref) is None
            assert self.jobs.redis.zscore(Key.DEAD, str(ref)) is None
            assert self.jobs.redis.zscore(Key.DELIVERIES, str(ref)) is None
            assert not self.jobs.redis.exists(Key.delivery(ref))
        named = {(name[0], known[0]) for name, known in self.aliases.items()}
        for key in self.jobs.redis.scan_iter("mediscan:alias:*:of:*"):
            tenant, _, job_id = key.split(":")[2:]
            assert (tenant, job_id) in named

    @invariant()
    def live_jobs_are_counted(self) -> None:
        live: Counter[str] = Counter()
        for key in self.jobs.redis.scan_iter("mediscan:job:*"):
            if self.jobs.redis.hget(key, "state") not in TERMINAL:
                live[key.split(":")[2]] += 1
        assert self.jobs.ledger.live_jobs() == live
        assert int(self.jobs.redis.hget(Key.LIVE, "*") or 0) == live.total()

    @invariant()
    def open_work_is_listed_where_it_stands(self) -> None:
        stored = {ref: self.jobs.stored(ref) for ref in self.last_seen}
        open_work = {
            (stage, job["priority"], str(ref), job[f"{stage}.state"])
            for ref, job in stored.items()
            if job and job["state"] not in TERMINAL
            for stage in Stage
            if job[f"{stage}.state"] in {"pending", "claimed"}
        }
        listed = {
            (stage, priority, ref, "pending" if score > 0 else "claimed")
            for stage in Stage
            for priority in Priority
            for ref, score in scored(
                self.jobs.redis.zrange(Key.work(stage, priority), 0, -1, withscores=True)
            )
        }
        assert listed == open_work

    @invariant()
    def what_was_asked_for_is_due_from_the_end_on(self) -> None:
        for ref, job in self.last_seen.items():
            event = f"job.{job['state']}"
            wanted = event in job.get("webhook.events", "").split(",")
            stored = self.jobs.redis.hgetall(Key.delivery(ref))
            assert stored == ({"url": _URL, "event": event, "state": "pending"} if wanted else {})
            due = self.jobs.redis.zscore(Key.DELIVERIES, str(ref))
            # Made due once, in the very step that ended the job: no repeat moves it.
            assert (None if due is None else f"{due:.6f}") == (job["ended_at"] if wanted else None)

    def check_alone(self, ref: JobRef, job: Stored) -> None:
        state = JobState(job["state"])
        assert ("result" in job) == (state is JobState.COMPLETED)
        assert ("error" in job) == (state in {JobState.FAILED, JobState.EXPIRED})
        assert ("ended_at" in job) == (state in TERMINAL)
        assert all(int(job.get(f"{stage}.deliveries", 0)) <= MAX_DELIVERIES for stage in Stage)
        is_archived = self.jobs.redis.ttl(Key.job(ref)) > 0
        assert (self.jobs.due_at(ref) is None) == is_archived
        assert state in TERMINAL or not is_archived

    def check_step(self, before: Stored, after: Stored) -> None:
        assert after["state"] in reachable(JOB_TRANSITIONS, before["state"])
        for stage in Stage:
            field = f"{stage}.state"
            assert after[field] in reachable(STAGE_TRANSITIONS, before[field])
        if before["state"] in TERMINAL:
            assert {name: after.get(name) for name in FINAL_FIELDS} == {
                name: before.get(name) for name in FINAL_FIELDS
            }
        versions = int(before["version"]), int(after["version"])
        assert versions[1] > versions[0] if before != after else versions[1] == versions[0]

    # --- and in the end -----------------------------------------------------------------------------------

    def teardown(self) -> None:
        """The reaper and good workers take over; no job may be left hanging, none may end twice."""
        try:
            self.bring_to_an_end()
        finally:
            super().teardown()

    def bring_to_an_end(self) -> None:
        refs = list(self.last_seen)
        # Each delivery that still runs out, then each stage, and the archive: far fewer rounds than this.
        for _ in range(4 * MAX_DELIVERIES + 8):
            for ref in refs:
                self.wait_for_everything(ref)
            for action in self.jobs.reap_due(empty=EVERY_STAGE):
                if action.stage is None:
                    self.jobs.ledger.archived(action.ref)
                else:
                    self.work(action.ref, action.stage)
            self.every_job_is_sound()
            if not self.jobs.redis.exists(Key.DUE):
                break
        for ref in refs:
            assert self.jobs.record(ref).state in TERMINAL
            assert self.jobs.due_at(ref) is None
        assert not self.jobs.redis.exists(Key.LIVE)

    def wait_for_everything(self, ref: JobRef) -> None:
        if self.jobs.due_at(ref) is None:
            return
        self.jobs.long_ago(ref, *[field for field in WAITS if field in self.jobs.stored(ref)])
        self.last_seen[ref] = self.jobs.stored(ref)

    def work(self, ref: JobRef, stage: Stage) -> None:
        claim = self.jobs.ledger.claim(ref, stage, token=new_token())
        if claim is None:
            return
        if stage is Stage.FUSION:
            self.jobs.ledger.complete(claim, fused_result())
        else:
            self.jobs.ledger.settle(claim, READINGS[stage])


def test_every_job_ends_exactly_once_whatever_happens(make_jobs: Callable[..., Jobs]) -> None:
    LedgerMachine.jobs = make_jobs(max_deliveries=MAX_DELIVERIES)

    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            derandomize="CI" in os.environ,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
