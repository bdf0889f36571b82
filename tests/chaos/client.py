"""A good client: bounded in rate and in jobs under way, obeys Retry-After, tries again, follows each job to its end.

A connection lost before the answer leaves it in doubt whether the job exists; it submits again, and the auditor
finds the job in doubt by itself if there is one.
"""

import asyncio
import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.pictures import Wish, Wishes

_GIVE_UP_S = 240.0
_TRY_AGAIN_S = 0.5
#: Who has waited long asks less often.
_LONGEST_PAUSE_S = 4.0
_LATER = (429, 503)


@dataclass(frozen=True)
class Sight:
    """A job as it was seen at one moment, once it was over."""

    etag: str
    body_sha256: str
    state: str


@dataclass
class Followed:
    """One accepted job."""

    job_id: str
    submitted_at: float
    accepted_after_s: float
    model: str | None
    priority: str
    sights: list[Sight] = field(default_factory=list)
    #: From the server's own clock.
    total_ms: float | None = None
    error_code: str | None = None


@dataclass
class Record:
    """Everything the client knows."""

    jobs: dict[str, Followed] = field(default_factory=dict)
    #: Answers and losses by kind: `202`, `503`, `in doubt`, ...
    answers: Counter[str] = field(default_factory=Counter)
    #: What no client should ever see.
    violations: list[str] = field(default_factory=list)


class Client:
    """Drives jobs against whatever gateway `find_url` names; it is asked again after each lost connection."""

    def __init__(self, find_url: Callable[[], str], headers: httpx.Headers, *, seed: int) -> None:
        self.record = Record()
        self._find_url = find_url
        self._url = find_url()
        self._headers = headers
        self._wishes = Wishes(seed)
        self._random = random.Random(seed)
        self._priors: dict[str | None, str] = {}

    async def drive(self, jobs: int, *, rate: float, until: Callable[[], bool], at_most: int = 300) -> None:
        """Submit until `jobs` jobs are accepted and `until` is true, and follow each to its end.

        No more than `rate` a second and no more than `at_most` at a time.
        """
        under_way = asyncio.Semaphore(at_most)
        async with self._open() as http, asyncio.TaskGroup() as group:
            while len(self.record.jobs) < jobs or not until():
                await under_way.acquire()
                task = group.create_task(self._one(http, self._wishes.next()))
                task.add_done_callback(lambda _: under_way.release())
                await asyncio.sleep(1 / rate)

    async def look_again(self) -> None:
        """See every followed job once more."""
        async with self._open() as http:
            lanes = asyncio.Semaphore(8)

            async def look(job: Followed) -> None:
                async with lanes:
                    await self._see_end(http, job)

            await asyncio.gather(*map(look, self.record.jobs.values()))

    def _open(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
        timeout = httpx.Timeout(20, pool=None)
        return httpx.AsyncClient(headers=self._headers, limits=limits, timeout=timeout)

    async def _one(self, http: httpx.AsyncClient, wish: Wish) -> None:
        job = await self._submit(http, wish)
        if job is None:
            return
        if wish.is_cancelled:
            await self._ask(http, "POST", f"/v1/jobs/{job.job_id}/cancel")
        await self._see_end(http, job)
        # A second look while Redis still has it; the last one, from the archive, is the auditor's.
        await asyncio.sleep(self._random.uniform(0.2, 3))
        await self._see_end(http, job)

    async def _submit(self, http: httpx.AsyncClient, wish: Wish) -> Followed | None:
        fields = dict(wish.fields)
        prior = self._priors.get(fields.get("model"))
        if wish.has_prior and prior:
            fields["prior_job_id"] = prior
        start = time.monotonic()
        answer = await self._ask(http, "POST", "/v1/jobs", files={"image": ("scan", wish.image)}, data=fields)
        if answer is None:
            return None
        if answer.status_code != 202:
            self.record.violations.append(f"a good submission was refused: {answer.text[:300]}")
            return None
        took = time.monotonic() - start
        job = Followed(answer.json()["id"], time.time(), took, fields.get("model"), fields["priority"])
        if job.job_id in self.record.jobs:
            self.record.violations.append(f"{job.job_id} was given out twice")
        self.record.jobs[job.job_id] = job
        return job

    async def _see_end(self, http: httpx.AsyncClient, job: Followed) -> None:
        start = time.monotonic()
        while (waited := time.monotonic() - start) < _GIVE_UP_S:
            answer = await self._ask(http, "GET", f"/v1/jobs/{job.job_id}")
            if answer is None:
                return
            if answer.status_code != 200:
                self.record.violations.append(
                    f"{job.job_id} was accepted and is answered: {answer.text[:300]}"
                )
                return
            found = answer.json()
            if found["ended_at"]:
                self._note_end(job, answer, found)
                return
            await asyncio.sleep(max(_retry_after(answer), min(waited / 2, _LONGEST_PAUSE_S)))
        self.record.violations.append(f"{job.job_id} has not ended within {_GIVE_UP_S:.0f} s")

    def _note_end(self, job: Followed, answer: httpx.Response, found: dict[str, Any]) -> None:
        sight = Sight(answer.headers["etag"], hashlib.sha256(answer.content).hexdigest(), found["state"])
        if job.sights and job.sights[0] != sight:
            self.record.violations.append(f"{job.job_id} changed after its end: {job.sights[0]} -> {sight}")
        job.sights.append(sight)
        job.total_ms = found["timings"]["total_ms"]
        job.error_code = (found["error"] or {}).get("code")
        if found["state"] == "completed":
            self._priors[job.model] = job.job_id

    async def _ask(
        self, http: httpx.AsyncClient, method: str, path: str, **body: Any
    ) -> httpx.Response | None:
        """The answer, once it is neither a lost connection nor `later`; None, and a violation, if never."""
        give_up = time.monotonic() + _GIVE_UP_S
        while time.monotonic() < give_up:
            try:
                answer = await http.request(method, self._url + path, **body)
            except httpx.TransportError as error:
                was_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                self.record.answers["in doubt" if was_sent and method == "POST" else "no connection"] += 1
                await asyncio.sleep(_TRY_AGAIN_S)
                self._url = self._find_url()
                continue
            self.record.answers[str(answer.status_code)] += 1
            if answer.status_code in _LATER:
                await asyncio.sleep(_retry_after(answer))
                continue
            if answer.status_code >= 500:
                self.record.violations.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
            return answer
        self.record.violations.append(f"{method} {path}: no answer for {_GIVE_UP_S:.0f} s")
        return None


def _retry_after(answer: httpx.Response) -> float:
    return float(answer.headers.get("retry-after", "1"))
