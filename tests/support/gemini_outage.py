"""One outage of Gemini, ridden out by a running cluster under load: what it did, and what is wrong with that.

`ride_out` takes as long as it is told: a test says two seconds, a chaos run ten minutes for each kind.
"""

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis

from services.gemini_worker.settings import GeminiWorkerSettings
from shared.names import Key
from tests.fake_gemini import Behaviour, FakeGemini, Kind
from tests.support.cluster import Cluster
from tests.support.images import scan
from tests.support.waiting import wait_until

#: What takes minutes in real life takes seconds here.
QUICK_CIRCUIT = {
    "GEMINI_CIRCUIT_MIN_CALLS": "4",
    "GEMINI_CIRCUIT_COOLDOWN_S": "0.5",
    "GEMINI_CIRCUIT_MAX_COOLDOWN_S": "1",
}

#: Gemini answers, and what it says depends on the image: no outage, however often.
NO_OUTAGE = frozenset(
    {
        Kind.ANSWER,
        Kind.WRONG_SCHEMA,
        Kind.PROSE,
        Kind.EMPTY_CANDIDATE,
        Kind.NO_CANDIDATE,
        Kind.SAFETY,
        Kind.RECITATION,
        Kind.PROMPT_BLOCKED,
    }
)


@dataclass(frozen=True)
class Outage:
    """What happened between the first bad answer and the first good one."""

    kind: Kind
    #: Submitted while Gemini misbehaved.
    jobs: int
    #: Requests that reached Gemini meanwhile, and how many the breaker should have let through at most.
    requests: int
    allowed: int
    openings: int
    probes: int
    #: Jobs by how they ended: `completed`, and what became of their Gemini reading.
    states: Mapping[str, int]
    gemini: Mapping[str, int]
    #: Seconds from Gemini's recovery to the first job with a Gemini reading.
    recovery_s: float

    def problems(self) -> list[str]:
        """What must not be; empty when all went well."""
        found = []
        if set(self.states) != {"completed"}:
            found.append(f"jobs were lost: {dict(self.states)}")
        if "done" in self.gemini:
            found.append(f"a failing Gemini gave readings: {dict(self.gemini)}")
        if self.requests > self.allowed:
            found.append(f"{self.requests} requests reached a failing Gemini, over {self.allowed}")
        if self.kind in NO_OUTAGE and (self.openings or "circuit_open" in self.gemini):
            found.append("the circuit opened although Gemini answered")
        if self.kind not in NO_OUTAGE and not (self.openings and "circuit_open" in self.gemini):
            found.append("the circuit did not open")
        return found


def ride_out(
    cluster: Cluster, fake: FakeGemini, behaviour: Behaviour, *, seconds: float, jobs_per_s: float = 10
) -> Outage:
    """Have Gemini misbehave for `seconds` under load, then recover; returns once a job has a Gemini reading again.

    The cluster asks `fake`, is ready and has a closed circuit. AssertionError when Gemini's readings do not come
    back, or a job does not end, within a minute.
    """
    knobs = _knobs(cluster)
    with cluster.ledger_server.client() as client:
        before, requests_before = _counters(client), len(fake.requests)
        to_open = _failures_to_open(client, knobs)
        fake.behave(behaviour)
        jobs = [cluster.finished(job_id, timeout_s=60) for job_id in _submit(cluster, seconds, jobs_per_s)]
        during = _counters(client) - before
        requests = len(fake.requests) - requests_before
        fake.behave(Behaviour())
        recovery_s = _recovered(cluster, client, knobs)
    workers = cluster.http.get("/readyz").json()["workers"]["gemini"]
    probes = during["gemini_circuit:probes"]
    in_flight = workers * knobs.gemini_concurrency
    breaker = to_open + in_flight + probes
    return Outage(
        kind=behaviour.kind,
        jobs=len(jobs),
        requests=requests,
        allowed=len(jobs) * knobs.gemini_attempts if behaviour.kind in NO_OUTAGE else breaker,
        openings=during["gemini_circuit:open"],
        probes=probes,
        states=Counter(job["state"] for job in jobs),
        gemini=Counter(_became(job["readings"]["gemini"]) for job in jobs),
        recovery_s=recovery_s,
    )


def _submit(cluster: Cluster, seconds: float, jobs_per_s: float) -> list[str]:
    """Submit at a steady pace; the ids."""
    image, started = scan(), time.monotonic()
    submitted: list[str] = []
    while time.monotonic() < started + seconds:
        submitted.append(cluster.submit(image)["id"])
        time.sleep(max(0.0, started + len(submitted) / jobs_per_s - time.monotonic()))
    return submitted


def _recovered(cluster: Cluster, client: "redis.Redis", knobs: GeminiWorkerSettings) -> float:
    """Submit a job now and then until one has a Gemini reading and the circuit is closed; seconds that took."""
    started = time.monotonic()

    def again() -> bool:
        job = cluster.run(scan())
        return bool(job["readings"]["gemini"]["state"] == "done")

    wait_until(again, timeout_s=60 + knobs.gemini_circuit_max_cooldown_s, what="Gemini reads again")
    assert client.hget(Key.GEMINI_CIRCUIT, "state") in (None, "closed")
    return time.monotonic() - started


def _failures_to_open(client: "redis.Redis", knobs: GeminiWorkerSettings) -> int:
    """How many failures it takes after what is in the window now."""
    window = cast(dict[str, str], client.hgetall(Key.GEMINI_CIRCUIT_WINDOW))
    answered = sum(int(count) for field, count in window.items() if field.endswith(":answered"))
    ratio = min(knobs.gemini_circuit_failure_ratio, 0.99)
    return max(knobs.gemini_circuit_min_calls, math.ceil(answered * ratio / (1 - ratio)))


def _knobs(cluster: Cluster) -> GeminiWorkerSettings:
    """The Gemini workers' settings."""
    named = {name.removeprefix("MEDISCAN_").lower(): value for name, value in cluster.environment().items()}
    return GeminiWorkerSettings(**named)  # type: ignore[arg-type] # text, as in the environment


def _counters(client: "redis.Redis") -> Counter[str]:
    stored = cast(dict[str, str], client.hgetall(Key.COUNTERS))
    return Counter({name: int(value) for name, value in stored.items()})


def _became(reading: dict[str, Any]) -> str:
    """`done`, or why not."""
    return str(reading.get("reason", reading["state"]))
