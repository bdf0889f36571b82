"""What services call to read and move jobs. Every write is one Lua script: it happens whole, once, or not at all.

A repeated call after a lost reply gives the same answer as the first, so the Redis client may retry.
"""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, cast

import redis

from shared.circuit_state import parse_circuit
from shared.contracts import (
    Circuit,
    DeliveryTarget,
    FusedResult,
    GeminiReading,
    ImageFacts,
    Metadata,
    MlReading,
    Prior,
    QueuePosition,
    SkippedReading,
    UnavailableReading,
    UnavailableReason,
)
from shared.contracts import JobError as Problem
from shared.job_state import JobState, StageState
from shared.ledger import clock, line, scripts, suspects
from shared.ledger.admission import UNLIMITED, Admission, Limits, Verdict, parse_admission
from shared.ledger.alias import Alias, AliasKind, Known, Repeatable
from shared.ledger.audit_list import AuditList
from shared.ledger.connection import connect
from shared.ledger.delivery_list import DeliveryList, Webhook
from shared.ledger.house import MODELS_KEPT_S, House, look
from shared.ledger.last_readings import LastReading, LastReadings
from shared.ledger.memory import MemoryGauge
from shared.ledger.record import JobRecord, parse
from shared.ledger.replication import Replication
from shared.names import DEFAULT_MODEL, LIVE_IN_HOUSE, BatchRef, JobRef, Key, Priority, Stage
from shared.redis_errors import converted
from shared.settings import Settings

_SCRIPTS = (
    "admit",
    "create",
    "claim",
    "settle",
    "conclude",
    "release",
    "put_off",
    "fail",
    "complete",
    "cancel",
    "erase",
    "archived",
    "reap",
)

#: Steps that somebody is told of once they are done: they outlive a failover.
_TOLD = frozenset({"create", "settle", "conclude", "fail", "complete", "cancel", "erase"})

#: Longer than any worker may hold a job: what one writes after the job was erased is there by then.
_ERASE_AGAIN_S = 600

#: Dead letters read at once: those of all tenants are in one set.
_DEAD_AT_ONCE = 500

#: A finished job is cached for less long as memory fills, and not at all when this part of it is used.
_CACHE_SHARE = 0.5

Fields = dict[str, str]


@dataclass(frozen=True)
class NewJob:
    """What a job starts with."""

    image: ImageFacts
    priority: Priority
    metadata: Metadata
    #: None to ask Gemini; otherwise why not.
    gemini_skipped: SkippedReading | None
    #: `name/version` of the model asked for; None: the ML worker's default.
    model: str | None = None
    #: The earlier reading to compare with.
    prior: Prior | None = None
    #: The job over whose image this one tries again.
    retry_of: str | None = None
    #: Of the submission, for the spans of whoever works on the job (`traceparent`).
    trace: str | None = None
    #: Whom to tell of its end.
    webhook: Webhook | None = None
    #: The batch that it came with.
    batch_id: str | None = None


@dataclass(frozen=True)
class OfferedModels:
    """What the ML workers can read with."""

    #: `name/version` -> card as JSON.
    cards: Mapping[str, str]
    #: What a job without a wish is read with; None before any worker was there.
    default: str | None


@dataclass(frozen=True)
class Claim:
    """A stage held under a lease. The token fences off a worker that was given up on."""

    job: JobRecord
    stage: Stage
    token: str


class Settled(StrEnum):
    """What became of a settled reading."""

    #: Stored; the other reading is still out.
    SETTLED = "settled"
    #: Stored, and it was the second: publish fusion.
    FUSE = "fuse"
    #: Too late to matter; nothing changed.
    LATE = "late"


class Released(StrEnum):
    """What became of a stage that was given back."""

    #: Tried again after a pause.
    RELEASED = "released"
    #: Delivered too often: the job failed and is a dead letter.
    DEAD = "dead"
    #: Delivered too often, and a result can do without it (Gemini): the job goes on.
    UNAVAILABLE = "unavailable"
    #: No longer held by the caller; nothing changed.
    LATE = "late"


@dataclass(frozen=True)
class Action:
    """What the reaper must do outside the ledger for one job: publish a stage, or archive the finished job."""

    ref: JobRef
    stage: Stage | None
    priority: Priority


class _Call(NamedTuple):
    """One of many runs of a script."""

    ref: JobRef
    args: Sequence[str]
    more_keys: Sequence[str]


class Ledger:
    """All reads and writes of jobs, over one Redis connection pool. Open one per process, after any fork."""

    def __init__(self, client: "redis.Redis", settings: Settings) -> None:
        self._redis = client
        self._settings = settings
        self._replication = Replication(client, settings.ledger_replicas)
        #: What happened and is not sealed yet.
        self.audit = AuditList(client, self._replication)
        #: Webhooks that are to be sent.
        self.deliveries = DeliveryList(client)
        #: The last readings of each model, and how far they are from its card.
        self.last_readings = LastReadings(client)
        #: DICOM objects that are to be made, and sent where a PACS is named.
        self.exports = DeliveryList(client, DeliveryTarget.PACS)
        self._insist = client.register_script(scripts.INSIST)
        self._whole_hash = client.register_script(scripts.WHOLE_HASH)
        self._name_once = client.register_script(scripts.NAME_ONCE)
        self._memory = MemoryGauge(client)
        self._scripts = {name: client.register_script(scripts.build(name, settings)) for name in _SCRIPTS}

    @classmethod
    def open(cls, settings: Settings, *, patience_s: float) -> "Ledger":
        """Connect lazily; calls then ride out an absence of the server of about `patience_s` seconds."""
        return cls(connect(settings, patience_s=patience_s), settings)

    # --- a job's path -------------------------------------------------------------------------------------

    def admit(self, ref: JobRef, limits: Limits) -> Admission:
        """Whether one more submission may come: asked before its body is read, and counted against the key's rate.

        LedgerRefusedError where a job could not be recorded anyway.
        """
        reply = self._run_limited("admit", ref, limits)
        return parse_admission(cast(list[str | int], reply), limits)

    def create(
        self, ref: JobRef, new: NewJob, admission: Admission = UNLIMITED, *, audit: str = ""
    ) -> JobRecord:
        """Record a job, durably where the server fsyncs, with its deadline; its messages are yours to publish.

        audit: the event to record in the same step, as JSON.
        HouseFullError or TooManyError where a limit has been reached since `admit`; nothing is recorded then.
        """
        outcome = self.create_once(ref, new, Repeatable(), admission, audit=audit)
        assert isinstance(outcome, JobRecord)  # noqa: S101 - tells mypy; nothing can be known without a name
        return outcome

    def create_once(
        self, ref: JobRef, new: NewJob, repeatable: Repeatable, admission: Admission, *, audit: str = ""
    ) -> JobRecord | Known:
        """`create`, unless the submission was there before: then that job's id, and nothing is recorded."""
        skipped = new.gemini_skipped
        fields = _asked_for(new)
        alias = repeatable.alias
        if alias is not None:
            fields["fingerprint"] = repeatable.fingerprint
        if alias is not None and alias.kind is AliasKind.CLIENT:
            fields["client_id"] = alias.text
        gemini = StageState.SKIPPED if skipped else StageState.PENDING
        flat = [part for pair in fields.items() for part in pair]
        reading = skipped.model_dump_json() if skipped else ""
        args = [gemini, reading, audit, *self._as_args(repeatable), *flat]
        keys = _alias_keys(ref, new, alias)
        outcome, found = self._run_limited("create", ref, admission.limits, *args, more_keys=keys)
        if outcome == "refused":
            raise admission.refused(Verdict(found))
        if outcome == "created":
            return parse(ref, _fields(found))
        return Known(found, is_same=outcome == "same")

    def known(self, tenant: str, alias: Alias) -> tuple[str, str] | None:
        """The job id and the fingerprint that an alias stands for, or None where the ledger knows of none."""
        with converted():
            flat = self._replication.run(self._whole_hash, [Key.alias(tenant, alias.kind, alias.text)], [])
        found = _fields(cast(list[str], flat))
        return (found["job"], found["fingerprint"]) if found else None

    def name_batch(self, ref: BatchRef, alias: Alias, fingerprint: str) -> tuple[str, str]:
        """Let an alias stand for a batch, unless it does for one already; id and fingerprint of what it stands for."""
        keys = [Key.alias(ref.tenant, alias.kind, alias.text)]
        args = [ref.batch_id, fingerprint, str(math.ceil(self._settings.idempotency_s * 1000))]
        with converted():
            batch_id, known = cast(list[str], self._replication.run(self._name_once, keys, args))
        return batch_id, known

    def read(self, ref: JobRef) -> JobRecord | None:
        """The job as it stands, or None where Redis does not hold it (any more)."""
        with converted():
            fields = cast(Fields, self._redis.hgetall(Key.job(ref)))
        return parse(ref, fields) if fields else None

    def position(self, job: JobRecord) -> QueuePosition | None:
        """Where a job stands in line for its ML reading; None where that has begun."""
        if not job.waits:
            return None
        with converted():
            return line.position(self._redis, job)

    def read_many(self, refs: Sequence[JobRef]) -> dict[JobRef, JobRecord]:
        """Those of `refs` that Redis holds, in one round trip for all."""
        with converted(), self._redis.pipeline(transaction=False) as pipe:
            for ref in refs:
                pipe.hgetall(Key.job(ref))
            found = cast(list[Fields], pipe.execute())
        return {ref: parse(ref, fields) for ref, fields in zip(refs, found, strict=True) if fields}

    def states(self, refs: Sequence[JobRef]) -> dict[JobRef, JobState]:
        """How those of `refs` stand that Redis holds, in one round trip for all."""
        with converted(), self._redis.pipeline(transaction=False) as pipe:
            for ref in refs:
                pipe.hmget(Key.job(ref), ["state"])
            found = cast(list[list[str | None]], pipe.execute())
        return {ref: JobState(state) for ref, (state,) in zip(refs, found, strict=True) if state}

    def versions(self, refs: Sequence[JobRef]) -> dict[JobRef, int]:
        """The versions of those of `refs` that Redis holds: whether a job changed, in one round trip for all."""
        with converted(), self._redis.pipeline(transaction=False) as pipe:
            for ref in refs:
                pipe.hmget(Key.job(ref), ["version"])
            found = cast(list[list[str | None]], pipe.execute())
        return {ref: int(version) for ref, (version,) in zip(refs, found, strict=True) if version}

    def claim(self, ref: JobRef, stage: Stage, *, token: str) -> Claim | None:
        """Take a stage under a lease, or None where there is nothing to do: settled, taken, over, gone.

        token: unique to this delivery; repeating the call with the same one is harmless.
        """
        stored = self._run("claim", ref, stage, token)
        return Claim(parse(ref, _fields(stored)), stage, token) if stored else None

    def settle(self, claim: Claim, reading: MlReading | GeminiReading | UnavailableReading) -> Settled:
        """Store a reading; on FUSE the caller publishes fusion."""
        outcome = self._run_claimed("settle", claim, reading.state, reading.model_dump_json())
        return Settled(outcome)

    def release(self, claim: Claim, detail: str) -> Released:
        """Give a stage back after an unexpected error: tried again after a pause, given up at the limit."""
        internal = UnavailableReason.INTERNAL_ERROR
        return Released(self._run_claimed("release", claim, internal, detail))

    def put_off(self, claim: Claim) -> Released:
        """`release` where nobody is to blame, such as while the blob store is away: the delivery does not count."""
        return Released(self._run_claimed("put_off", claim))

    def release_lost(self, ref: JobRef, stage: Stage, token: str) -> Released:
        """`release` for the parent of a child that died or hung: it knows the token and nothing else."""
        detail = "The worker died or hung each time this was tried."
        return Released(self._run("release", ref, stage, token, UnavailableReason.WORKER_LOST, detail))

    def fail(self, claim: Claim, problem: Problem, reading: UnavailableReading) -> bool:
        """End the job as failed, at once and for good. False where it was already over."""
        stored = problem.model_dump_json(), reading.model_dump_json()
        return self._run_claimed("fail", claim, *stored) == "failed"

    def complete(self, claim: Claim, result: FusedResult) -> JobRecord | None:
        """Store the result and end the job. None where it was already over: the result is then dropped."""
        stored = self._run(
            "complete", claim.job.ref, claim.token, result.model_dump_json(), _why_alone(result)
        )
        return parse(claim.job.ref, _fields(stored)) if stored else None

    def conclude(self, claim: Claim, reading: MlReading, result: FusedResult) -> bool:
        """Settle the only reading of a job and end it with its result, in one step. False where it was too late.

        For a job whose second reading is skipped; the reaper archives it.
        """
        stored = reading.model_dump_json(), result.model_dump_json()
        return bool(self._run("conclude", claim.job.ref, claim.token, *stored, _why_alone(result)))

    def cancel(self, ref: JobRef, *, audit: str = "") -> JobRecord | None:
        """Call a job off, unless it is over; either way return it as it then stands. None: no such job.

        audit: the event to record in the same step, as JSON, if it is called off by this.
        """
        stored = self._run("cancel", ref, audit, more_keys=[Key.AUDIT])
        return parse(ref, _fields(stored)) if stored else None

    def erase(self, ref: JobRef, image: ImageFacts, model: str | None, *, audit: str = "") -> None:
        """Forget a job in whatever state, and every name of it. Its blobs are the caller's to delete, and the reaper's.

        image, model: as the job has them; they lead to the name that its image gave it.
        audit: the event to record in the same step, as JSON.
        """
        keys = [Key.AUDIT, Key.ERASED, Key.aliases(ref), _image_key(ref.tenant, image, model)]
        self._run("erase", ref, audit, str(_ERASE_AGAIN_S), more_keys=keys)

    def is_erased(self, ref: JobRef) -> bool:
        """Whether a job was erased lately: what is found of it was written since, and is no job."""
        with converted():
            return self._redis.zscore(Key.ERASED, str(ref)) is not None

    def erased(self, refs: Sequence[JobRef]) -> set[JobRef]:
        """Those of `refs` that were erased lately, in one round trip for all."""
        with converted(), self._redis.pipeline(transaction=False) as pipe:
            for ref in refs:
                pipe.zscore(Key.ERASED, str(ref))
            return {ref for ref, at in zip(refs, pipe.execute(), strict=True) if at is not None}

    def to_erase_again(self, limit: int) -> list[JobRef]:
        """Up to `limit` jobs erased so long ago that no worker writes anything of them any more."""
        with converted():
            seconds, _ = self._redis.time()
            found = self._redis.zrangebyscore(Key.ERASED, "-inf", seconds, start=0, num=limit)
        return [JobRef.parse(text) for text in cast(list[str], found)]

    def deliveries_to(self, target: DeliveryTarget) -> DeliveryList:
        """What is to be told to this target."""
        return self.exports if target is DeliveryTarget.PACS else self.deliveries

    def erased_again(self, ref: JobRef) -> None:
        """Nothing of the job is left anywhere: forget that it was."""
        with converted():
            self._redis.zrem(Key.ERASED, str(ref))

    def archived(self, ref: JobRef, reading: LastReading | None = None) -> bool:
        """`archived_all` for one job: True for the first who says so."""
        return ref in self.archived_all({ref: reading})

    def archived_all(self, readings: Mapping[JobRef, LastReading | None]) -> set[JobRef]:
        """Finished jobs are in the blob store: from here on Redis is a short cache for them, the shorter the fuller.

        The answer: those of which nobody had said so. What is to be told of a job's end once, is told by that one.
        readings: what is remembered of each among the last ones of its model.
        """
        room = max(0.0, 1 - self.memory_used() / _CACHE_SHARE)
        cache_ms = str(math.ceil(self._settings.cache_ttl_s * room * 1000))
        calls = [
            _Call(
                ref,
                (cache_ms, *(reading.as_args() if reading else ())),
                (Key.readings(reading.model),) if reading else (),
            )
            for ref, reading in readings.items()
        ]
        answers = self._run_each("archived", calls)
        return {ref for ref, answer in zip(readings, answers, strict=True) if answer == 1}

    # --- the reaper ---------------------------------------------------------------------------------------

    def due(self, limit: int) -> list[JobRef]:
        """Up to `limit` jobs that the reaper must look at now, the longest overdue first."""
        with converted():
            now = clock.now(self._redis)
            found = cast(list[str], self._redis.zrangebyscore(Key.DUE, "-inf", now, start=0, num=limit))
        return [JobRef.parse(text) for text in found]

    def waits_long(self) -> bool:
        """Whether any job waits so long that its message may be suspected to be lost."""
        with converted():
            return suspects.waits_long(self._redis, republish_after_s=self._settings.republish_after_s)

    def suspects(self, limit: int, *, empty: set[Stage]) -> list[JobRef]:
        """Jobs whose message is probably lost although they are not due, up to `limit` of a stage and priority.

        empty: stages whose queue has held no message for `republish_after_s`.
        """
        after_s = self._settings.republish_after_s
        with converted():
            return suspects.suspects(self._redis, empty=empty, republish_after_s=after_s, limit=limit)

    def reap(
        self, refs: Sequence[JobRef], *, empty: set[Stage], deserted: set[Stage], suspected: bool = False
    ) -> list[Action]:
        """Look at each job once; what to do outside comes back.

        empty: stages whose queue holds no message. deserted: stages with no worker alive.
        suspected: also where a job is not due, whose message is lost then; any other is left alone.
        """
        flags = [str(int(stage in group)) for group in (empty, deserted) for stage in Stage]
        flags.append(str(int(suspected)))
        found = self._run_each("reap", [_Call(ref, flags, ()) for ref in refs])
        return [action for ref, todo in zip(refs, found, strict=True) for action in _actions(ref, todo)]

    def identity(self) -> str | None:
        """What tells this ledger from an emptied or another one; None before `adopt_identity`."""
        with converted():
            return cast(str | None, self._redis.get(Key.IDENTITY))

    def adopt_identity(self, identity: str) -> str:
        """Give the ledger this identity, unless it has one; the one that it then has."""
        with converted():
            self._redis.set(Key.IDENTITY, identity, nx=True)
        return self.identity() or identity

    def note_lost(self, refs: Sequence[JobRef]) -> None:
        """List jobs of which nothing but the image is left among the dead letters."""
        if not refs:
            return
        with converted():
            seconds, _ = self._redis.time()
            self._redis.zadd(Key.DEAD, {str(ref): seconds for ref in refs})
            self._redis.hincrby(Key.COUNTERS, "lost", len(refs))

    def holds(self, refs: Sequence[JobRef]) -> set[JobRef]:
        """Those of `refs` that Redis still knows."""
        with converted(), self._redis.pipeline(transaction=False) as pipe:
            for ref in refs:
                pipe.exists(Key.job(ref))
            return {ref for ref, found in zip(refs, pipe.execute(), strict=True) if found}

    # --- operators ----------------------------------------------------------------------------------------

    def house(self) -> House:
        """How much waits, who works, what ended: all of it as of now."""
        with converted():
            return look(self._redis, heartbeat_ttl_s=self._settings.heartbeat_ttl_s)

    def heartbeat(self, stage: Stage, node: str, slots: int | None = None) -> None:
        """Note that a worker node is alive and consuming its stage's queue, and how many jobs it reads at once."""
        member = node if slots is None else f"{node} {slots}"
        with converted():
            seconds, _ = self._redis.time()
            self._insist(keys=[Key.workers(stage)], args=["ZADD", seconds, member])
            self._redis.zremrangebyscore(Key.workers(stage), "-inf", seconds - 3600)

    def nodes(self, stage: Stage) -> list[str]:
        """The worker nodes of a stage that were heard of within `heartbeat_ttl_s`."""
        with converted():
            seconds, _ = self._redis.time()
            since = seconds - self._settings.heartbeat_ttl_s
            found = cast(list[str], self._redis.zrangebyscore(Key.workers(stage), since, "+inf"))
        return [member.partition(" ")[0] for member in found]

    def alive(self) -> dict[Stage, int]:
        """How many worker nodes of each stage were heard of within `heartbeat_ttl_s`."""
        with converted():
            seconds, _ = self._redis.time()
            since = seconds - self._settings.heartbeat_ttl_s
            return {stage: self._redis.zcount(Key.workers(stage), since, "+inf") for stage in Stage}

    def offer_models(self, cards: dict[str, str], *, default: str) -> None:
        """Note which models this worker runs: `name/version` -> card as JSON, and which it prefers."""
        with converted():
            seconds, _ = self._redis.time()
            for name, card in {DEFAULT_MODEL: default, **cards}.items():
                self._insist(keys=[Key.MODELS], args=["HSET", name, card])
            for name in cards:
                self._insist(keys=[Key.MODELS_SEEN], args=["ZADD", seconds, name])

    def models(self) -> OfferedModels:
        """The models that a worker offered within the last day, so that a short absence of all hides none."""
        with converted():
            seconds, _ = self._redis.time()
            seen = cast(
                list[str], self._redis.zrangebyscore(Key.MODELS_SEEN, seconds - MODELS_KEPT_S, "+inf")
            )
            stored = cast(Fields, self._redis.hgetall(Key.MODELS))
        return OfferedModels(
            {name: stored[name] for name in seen if name in stored}, stored.get(DEFAULT_MODEL)
        )

    def reaper_beat(self) -> None:
        """Note that a reaper is alive."""
        with converted():
            ttl_s = int(self._settings.heartbeat_ttl_s) or 1
            self._insist(keys=[Key.REAPER], args=["SET", "alive", "EX", ttl_s])

    def reaper_alive(self) -> bool:
        """Whether a reaper was heard of within `heartbeat_ttl_s`."""
        with converted():
            return bool(self._redis.exists(Key.REAPER))

    def gemini_circuit(self) -> Circuit:
        """The circuit breaker in front of Gemini, which the Gemini workers write."""
        with converted():
            seconds, micros = self._redis.time()
            stored = cast(Fields, self._redis.hgetall(Key.GEMINI_CIRCUIT))
        return parse_circuit(stored, seconds + micros / 1e6)

    def check_writable(self) -> None:
        """LedgerUnavailableError unless a write goes through; being full counts as writable: accepted work goes on."""
        with converted():
            self._insist(keys=[Key.COUNTERS], args=["HSET", "probe", "1"])

    def memory_used(self) -> float:
        """The part of the server's `maxmemory` in use, as of the last second; 0 where it has no limit."""
        with converted():
            return self._memory.used()

    def live_jobs(self) -> dict[str, int]:
        """How many jobs each tenant has that are not over; tenants without any are not named."""
        with converted():
            counts = cast(Fields, self._redis.hgetall(Key.LIVE))
        return {tenant: int(count) for tenant, count in counts.items() if tenant != LIVE_IN_HOUSE}

    def counters(self) -> dict[str, int]:
        """Rescues, late readings, fallbacks and the like since the ledger was made."""
        with converted():
            found = cast(Fields, self._redis.hgetall(Key.COUNTERS))
        return {name: int(value) for name, value in found.items()}

    def dead_letters(self, limit: int = 100) -> list[tuple[JobRef, float]]:
        """The most recently given-up jobs with the Unix time of each."""
        with converted():
            found = self._redis.zrevrange(Key.DEAD, 0, limit - 1, withscores=True)
        return [(JobRef.parse(text), float(at)) for text, at in cast(list[tuple[str, float]], found)]

    def dead_letters_of(
        self, tenant: str, *, limit: int, before: tuple[float, str] | None = None
    ) -> list[tuple[JobRef, float]]:
        """Up to `limit` given-up jobs of a tenant with the Unix time of each, newest first.

        before: time and job id of the last one that was seen; what follows it comes.
        """
        newest = math.inf if before is None else before[0]
        found: list[tuple[JobRef, float]] = []
        for start in itertools.count(0, _DEAD_AT_ONCE):
            with converted():
                page = self._redis.zrevrangebyscore(
                    Key.DEAD, newest, "-inf", start=start, num=_DEAD_AT_ONCE, withscores=True
                )
            letters = [(JobRef.parse(text), float(at)) for text, at in cast(list[tuple[str, float]], page)]
            found += [
                (ref, at)
                for ref, at in letters
                if ref.tenant == tenant and (before is None or (at, ref.job_id) < before)
            ]
            if len(found) >= limit or len(page) < _DEAD_AT_ONCE:
                break
        return found[:limit]

    def died_at(self, ref: JobRef) -> float | None:
        """When a job was given up (Unix seconds); None where it is no dead letter."""
        with converted():
            return self._redis.zscore(Key.DEAD, str(ref))

    def forget_dead_letter(self, ref: JobRef) -> None:
        """It is taken care of."""
        with converted():
            self._redis.zrem(Key.DEAD, str(ref))

    def forget_dead_letters(self, *, older_than_s: float) -> None:
        """Drop dead letters that were given up longer ago than that: their blobs are no longer kept either."""
        with converted():
            seconds, _ = self._redis.time()
            self._redis.zremrangebyscore(Key.DEAD, "-inf", seconds - older_than_s)

    def close(self) -> None:
        """Drop the connections."""
        self._redis.close()

    def _run_claimed(self, script: str, claim: Claim, *args: str) -> str:
        return cast(str, self._run(script, claim.job.ref, claim.stage, claim.token, *args))

    def _as_args(self, repeatable: Repeatable) -> list[str]:
        remembered = self._settings.idempotency_s, self._settings.job_deadline_s + self._settings.cache_ttl_s
        return [
            repeatable.fingerprint,
            "1" if repeatable.deduplicate else "",
            repeatable.gone,
            *(str(math.ceil(seconds * 1000)) for seconds in remembered),
        ]

    def _run_limited(
        self, script: str, ref: JobRef, limits: Limits, *args: str, more_keys: Sequence[str] = ()
    ) -> Any:
        owner = f"submit:{limits.key_id}"
        keys = [*_keys(ref), Key.bucket(owner), Key.spent(owner), Key.AUDIT, *more_keys]
        return self._call(script, keys, [str(ref), *limits.as_args(), *args])

    def _run(self, script: str, ref: JobRef, *args: str, more_keys: Sequence[str] = ()) -> Any:
        return self._call(script, [*_keys(ref), *more_keys], [str(ref), *args])

    def _call(self, script: str, keys: Sequence[str], args: Sequence[str]) -> Any:
        with converted():
            if script in _TOLD:
                return self._replication.run(self._scripts[script], keys, args)
            return self._scripts[script](keys=keys, args=args)

    def _run_each(self, script: str, calls: Sequence[_Call]) -> list[Any]:
        """A script once for each job, each time whole or not at all, all in one round trip."""
        digest = self._scripts[script].sha
        # A server that was started again knows no script; the plain call teaches it.
        with (
            converted(),
            suppress(redis.exceptions.NoScriptError),
            self._redis.pipeline(transaction=False) as pipe,
        ):
            for ref, args, more_keys in calls:
                keys = [*_keys(ref), *more_keys]
                pipe.evalsha(digest, len(keys), *keys, str(ref), *args)
            return pipe.execute()
        return [self._run(script, ref, *args, more_keys=more) for ref, args, more in calls]


def _why_alone(result: FusedResult) -> str:
    return result.fallback.reason if result.fallback else ""


def _asked_for(new: NewJob) -> Fields:
    fields = {
        "priority": new.priority,
        "image": new.image.model_dump_json(),
        "metadata": json.dumps(new.metadata),
    }
    if new.model:
        fields["model"] = new.model
    if new.prior:
        fields["prior"] = new.prior.model_dump_json()
    if new.trace:
        fields["trace"] = new.trace
    if new.retry_of:
        fields["retry_of"] = new.retry_of
    if new.batch_id:
        fields["batch"] = new.batch_id
    if new.webhook:
        fields["webhook.url"] = new.webhook.url
        fields["webhook.events"] = ",".join(new.webhook.events)
    return fields


def _keys(ref: JobRef) -> list[str]:
    house = [Key.DUE, Key.DEAD, Key.COUNTERS, Key.WATERMARKS, Key.LIVE, Key.DRAIN, Key.DELIVERIES]
    return [Key.job(ref), *house, Key.delivery(ref)]


def _alias_keys(ref: JobRef, new: NewJob, alias: Alias | None) -> list[str]:
    given = [Key.alias(ref.tenant, alias.kind, alias.text)] if alias else []
    return [_image_key(ref.tenant, new.image, new.model), Key.aliases(ref), *given]


def _image_key(tenant: str, image: ImageFacts, model: str | None) -> str:
    frame = f" {image.dicom.frame}" if image.dicom else ""
    return Key.alias(tenant, "image", f"{image.sha256} {model or ''}{frame}")


def _fields(flat: list[str]) -> Fields:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _actions(ref: JobRef, found: list[str]) -> Iterator[Action]:
    if not found:
        return
    priority, *todo = found
    for what in todo:
        yield Action(ref, None if what == "archive" else Stage(what), Priority(priority))
