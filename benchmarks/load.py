"""Asks a subject for readings, one at a time or as many as it takes, and says what that took."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

from benchmarks import processes
from benchmarks.http_client import Answer, Connection, now_ms
from benchmarks.subject import Subject

CONNECTIONS = 16
#: A system that has not answered everything by then is reported as one that does not (TimeoutError).
_PATIENCE_S = 120.0
#: First pause between two inquiries where a system cannot be waited on, and the longest that it doubles to under load:
#: an impatient client alone, a considerate one among others.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.128


@dataclass(frozen=True)
class Saturated:
    """A burst of jobs: all submitted as fast as they are taken, every result fetched."""

    jobs: int
    wall_s: float
    #: Until the last was accepted.
    accepted_s: float
    #: Processor time a job by role, the client's as `client`; in µs.
    cpu_us: dict[str, float] = field(default_factory=dict)
    load: float = 0.0

    @property
    def per_s(self) -> float:
        """Jobs a second, from the first submission to the last result in the client's hands."""
        return self.jobs / self.wall_s

    @property
    def cpu_us_total(self) -> float:
        """Of all processes of the subject, without the client."""
        return sum(value for role, value in self.cpu_us.items() if role != "client")


@dataclass(frozen=True)
class Idle:
    """One job at a time: each from its submission to its result, in ms."""

    latencies_ms: list[float]
    cpu_us: dict[str, float]
    load: float


def saturate(subject: Subject, images: Sequence[bytes], jobs: int) -> Saturated:
    """Sixteen connections submit `jobs` between them, then each fetches the results of its own.

    TimeoutError where that takes too long.
    """
    return asyncio.run(asyncio.wait_for(_saturate(subject, images, jobs), _PATIENCE_S))


def idle(subject: Subject, images: Sequence[bytes], jobs: int) -> Idle:
    """One connection, one job after the other."""
    latencies: list[float] = []

    async def ask() -> None:
        connection = Connection("127.0.0.1", subject.ports()[0])
        for image in islice(cycle(images), jobs):
            began = now_ms()
            answer = await connection.ask(subject.submission(image))
            await _fetch(subject, connection, answer, longest_pause_s=_FIRST_PAUSE_S)
            latencies.append(now_ms() - began)
        connection.close()

    meter = Meter(subject)
    asyncio.run(asyncio.wait_for(ask(), _PATIENCE_S))
    return Idle(latencies, meter.per_job_us(jobs), processes.load_average())


async def _saturate(subject: Subject, images: Sequence[bytes], jobs: int) -> Saturated:
    messages = [subject.submission(image) for image in images]
    work = islice(cycle(messages), jobs)
    meter, began, accepted = Meter(subject), time.monotonic(), [0.0]
    gate = _Gate(CONNECTIONS)
    ports = islice(cycle(subject.ports()), CONNECTIONS)
    await asyncio.gather(*(_connection(subject, port, work, gate, accepted) for port in ports))
    wall = time.monotonic() - began
    return Saturated(jobs, wall, accepted[0] - began, meter.per_job_us(jobs), processes.load_average())


async def _connection(
    subject: Subject, port: int, work: Iterator[bytes], gate: "_Gate", accepted: list[float]
) -> None:
    connection = Connection("127.0.0.1", port)
    answers = [await connection.ask(message) for message in work]
    accepted[0] = time.monotonic()
    # Nobody asks before all is submitted: what an inquiry costs then does not depend on who was how fast.
    await gate.passed()
    # The last first: when that is there, so are the others, and none of them is asked for twice.
    for answer in reversed(answers):
        await _fetch(subject, connection, answer, longest_pause_s=_LONGEST_PAUSE_S)
    connection.close()


async def _fetch(
    subject: Subject, connection: Connection, answer: Answer, *, longest_pause_s: float
) -> Answer:
    inquiry = subject.inquiry(answer)
    if inquiry is None:
        return answer
    pause_s = _FIRST_PAUSE_S
    while not subject.is_result(found := await connection.ask(inquiry)):
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, longest_pause_s)
    return found


class _Gate:
    def __init__(self, parties: int) -> None:
        self._left = parties
        self._open = asyncio.Event()

    async def passed(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._open.set()
        await self._open.wait()


class Meter:
    """Processor time of a subject's processes and of this one, from now on."""

    def __init__(self, subject: Subject) -> None:
        self._roles = subject.pids()
        self._before = {pid: processes.cpu_s(pid) for pid in self._roles}
        self._own = time.process_time()

    def per_job_us(self, jobs: int) -> dict[str, float]:
        """By role, in µs a job."""
        spent: dict[str, float] = {}
        for pid, role in self._roles.items():
            spent[role] = spent.get(role, 0.0) + max(0.0, processes.cpu_s(pid) - self._before[pid])
        spent["client"] = time.process_time() - self._own
        return {role: 1e6 * seconds / jobs for role, seconds in spent.items()}
