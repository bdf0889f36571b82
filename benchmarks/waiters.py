"""What waiting requests cost a gateway: `make waiters`.

One real gateway and one real ledger; a thousand jobs that nobody works on, and one request waiting for each. Reports
the gateway's memory and processor time with and without them, and how soon all are told once their jobs change.
"""

import argparse
import asyncio
import os
import resource
import sys
import time
from pathlib import Path

import httpx

from benchmarks.say import say
from shared.names import JobRef
from tests.integration.gateway.process import House
from tests.support.memory import resident
from tests.support.samples import new_job, new_ref
from tests.support.waiting import wait_until

#: Well under the longest wait, which the requests ask for.
_WATCHED_S = 40.0
_MIB = 1 << 20

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Gateway:
    """What the kernel says of the gateway's process."""

    def __init__(self, house: House) -> None:
        self.pid = house.process.pid

    def cpu_s(self) -> float:
        """Processor time that it has used, in all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def load(self, seconds: float) -> float:
        """Per cent of one core over the next `seconds`."""
        began, before = time.monotonic(), self.cpu_s()
        await asyncio.sleep(seconds)
        return 100 * (self.cpu_s() - before) / (time.monotonic() - began)


class Waiters:
    """One request a job, over connections of their own."""

    def __init__(self, house: House, suffix: str) -> None:
        self._url, self._suffix = httpx.URL(house.url), suffix
        self._open: list[Connection] = []

    async def begin(self, ref: JobRef) -> None:
        """Ask, and do not wait for the answer."""
        reader, writer = await asyncio.open_connection(self._url.host, self._url.port)
        writer.write(f"GET /v1/jobs/{ref.job_id}{self._suffix} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await writer.drain()
        self._open.append((reader, writer))

    async def answered(self, *, sign: bytes) -> None:
        """Return once each has been told that its job was called off."""
        await asyncio.gather(*(reader.readuntil(sign) for reader, _ in self._open))

    async def close(self) -> None:
        """Hang up."""
        for _, writer in self._open:
            writer.close()


async def _measure(house: House, waiters: int, suffix: str) -> None:
    gateway = Gateway(house)
    refs = [new_ref() for _ in range(waiters)]
    for ref in refs:
        house.ledger.create(ref, new_job())
    warm = Waiters(house, "?wait=1")
    for ref in refs[:50]:
        await warm.begin(ref)
    await warm.answered(sign=b'"queued"')
    await warm.close()
    memory, load = resident(gateway.pid) / _MIB, await gateway.load(_WATCHED_S / 2)
    say(f"nobody waits: {memory:.0f} MiB resident, {load:.1f} % of a core")

    waiting = Waiters(house, suffix)
    for ref in refs:
        await waiting.begin(ref)
    await asyncio.to_thread(wait_until, lambda: _channels(house) == waiters, timeout_s=30)
    load, now = await gateway.load(_WATCHED_S), resident(gateway.pid) / _MIB
    say(f"{waiters} wait: {now:.0f} MiB resident ({now - memory:+.0f}), {load:.1f} % of a core")

    began = time.monotonic()
    for ref in refs:
        house.ledger.cancel(ref)
    changed = time.monotonic()
    await waiting.answered(sign=b"cancelled")
    say(
        f"{waiters} jobs changed in {changed - began:.2f} s, all told {time.monotonic() - changed:.2f} s later"
    )
    await waiting.close()


def _channels(house: House) -> int:
    with house.ledger_server.client() as client:
        return len(client.pubsub_channels())


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiters", description=__doc__)
    parser.add_argument("--waiters", type=int, default=1000)
    parser.add_argument("--kind", choices=["poll", "stream"], default="poll")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    suffix = {"poll": "?wait=60", "stream": "/events"}[arguments.kind]
    most = arguments.waiters + 50
    with House(max_waits=most, max_waits_per_tenant=most) as house:
        asyncio.run(_measure(house, arguments.waiters, suffix))
    return 0


if __name__ == "__main__":
    sys.exit(main())
