"""What a choice costs: `python -m benchmarks.variants`. MediScan as it ships and as it might be, in turns.

The same race as against the peers, run by clusters that differ in one thing each: metrics served, traces sent, another
number of children or threads, one Redis for both ledger and broker.
"""

import argparse
import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partialmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.drawn import pictures
from benchmarks.ours import MediScan
from benchmarks.race import Entrant, Plan, race
from benchmarks.say import say
from benchmarks.subject import Subject

_IMAGES = 16


class _Collector(BaseHTTPRequestHandler):
    """Takes what is sent to it and keeps nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing."""


@contextlib.contextmanager
def _collector() -> Iterator[str]:
    """The address of something that takes traces."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _variant(name: str, **settings: str) -> type[MediScan]:
    """A kind of cluster with these settings on top."""
    return type(name, (MediScan,), {"name": name, "__init__": partialmethod(MediScan.__init__, **settings)})


class _OneRedis(MediScan):
    """The ledger's server is the broker too."""

    name = "ledger and broker in one"

    def environment(self) -> Mapping[str, str]:
        """Every write of a message is fsynced then, as the ledger's are."""
        ledger = f"redis+socket://{self.socket('ledger')}"
        return {**super().environment(), "MEDISCAN_BROKER_URL": ledger}


def _kinds(collector: str) -> Sequence[type[Subject]]:
    return [
        MediScan,
        _variant("metrics served", METRICS_PORT="0"),
        _variant("traces sent", OTLP_ENDPOINT=collector),
        _variant("three children", ML_CONCURRENCY="3"),
        _variant("one thread a reading", ML_THREADS="1"),
        _OneRedis,
    ]


def _row(one: Entrant, shipped: Entrant) -> str:
    if one.absent:
        return f"| {one.name} | {one.absent[:80]} | | | |"
    low, high = one.spread
    cost = f"{one.cpu_us / 1000:.1f} | {(one.cpu_us - shipped.cpu_us) / 1000:+.1f}"
    idle = f"{one.quantile_ms(0.5):.1f}, {one.quantile_ms(0.99):.0f}"
    return f"| {one.name} | {one.per_s:.0f} ({low:.0f}-{high:.0f}) | {cost} | {idle} |"


def compare(plan: Plan) -> str:
    """The table, as Markdown."""
    with _collector() as collector:
        entrants = race(_kinds(collector), pictures(_IMAGES), plan, say)
    head = "| MediScan | jobs/s (rounds) | CPU ms a job | against as it ships | idle p50, p99 ms |"
    return "\n".join([head, "|---|---|---|---|---|", *(_row(one, entrants[0]) for one in entrants)])


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=400)
    chosen = parser.parse_args()
    say(compare(Plan(chosen.rounds, chosen.jobs, chosen.jobs, idle_jobs=40)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
