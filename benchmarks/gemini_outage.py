"""Whether the ML readings keep their pace while Gemini is down: `make outage`.

One cluster at saturation, its clients waiting for nothing but ML readings. Gemini is well and ill in turns, so that
whatever else the machine does falls on both; the medians of both are compared. Takes a little over
2 x `--rounds` x `--seconds`, and with `--kind all` as often as there are ways to fail. After each outage the circuit
must close. Ten minutes of each: `--kind all --seconds 600 --well-seconds 75 --rounds 1`.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.say import say
from shared.job_state import StageState
from tests.fake_gemini import Behaviour, FakeGemini, Kind
from tests.support.bundles import copy_committed
from tests.support.cluster import Cluster
from tests.support.gemini_outage import NO_OUTAGE
from tests.support.images import scan
from tests.support.waiting import wait_until

#: The pace with Gemini down, as a share of the pace with Gemini well, that is held to be unharmed.
_UNHARMED = 0.9
#: A healthy Gemini, quicker than the real one, so that it costs this machine more.
_WELL = Behaviour(delay_s=0.2)
#: Every way in which Gemini can fail; what it says about one image is no failure.
_OUTAGES = [kind for kind in Kind if kind not in NO_OUTAGE]
_POLL_S = 0.02
#: Between two slices: what was under way ends.
_SETTLE_S = 3.0


class Load:
    """Clients that each submit an image, wait for its ML reading, and begin again."""

    def __init__(self, url: str, clients: int) -> None:
        self._url = url
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._done = 0
        self._pool = ThreadPoolExecutor(clients)
        self._clients = [self._pool.submit(self._client) for _ in range(clients)]

    @property
    def done(self) -> int:
        """ML readings so far; raises what ended a client."""
        for client in self._clients:
            if client.done():
                client.result()
        return self._done

    def pace(self, seconds: float) -> float:
        """ML readings a second over the next `seconds`."""
        started, before = time.monotonic(), self.done
        time.sleep(seconds)
        return (self.done - before) / (time.monotonic() - started)

    def close(self) -> None:
        """Stop all clients."""
        self._stop.set()
        self._pool.shutdown()

    def _client(self) -> None:
        image = scan(512)
        with httpx.Client(base_url=self._url, timeout=30) as http:
            while not self._stop.is_set():
                answer = http.post("/v1/jobs", files={"image": ("scan", image)}).raise_for_status()
                self._wait(http, f"/v1/jobs/{answer.json()['id']}")
                with self._lock:
                    self._done += 1

    def _wait(self, http: httpx.Client, job: str) -> None:
        while not self._stop.is_set():
            state = http.get(job).raise_for_status().json()["readings"]["ml"]["state"]
            if state == StageState.DONE:
                return
            time.sleep(_POLL_S)


def main() -> int:
    """Run and report; exit status 1 when the pace did not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gemini_outage", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20, help="of each outage")
    parser.add_argument("--well-seconds", type=float, help="before each; as long as the outage if not given")
    parser.add_argument(
        "--clients", type=int, default=8, help="fewer where several kinds run beside each other"
    )
    parser.add_argument("--kind", choices=["all", *Kind], default=Kind.HANG.value)
    arguments = parser.parse_args()
    kinds = _OUTAGES if arguments.kind == "all" else [Kind(arguments.kind)]
    with _saturated(arguments.clients) as (load, fake, cluster):
        ratios = [_compare(load, fake, cluster, kind, arguments) for kind in kinds]
    return 0 if min(ratios) >= _UNHARMED else 1


def _compare(
    load: Load, fake: FakeGemini, cluster: Cluster, kind: Kind, arguments: argparse.Namespace
) -> float:
    """The pace with this outage as a part of the pace without; the circuit is closed before and after."""
    well: list[float] = []
    ill: list[float] = []
    for _ in range(arguments.rounds):
        well.append(_slice(load, fake, _WELL, arguments.well_seconds or arguments.seconds))
        say(f"well: {well[-1]:.1f}/s, {_circuit(cluster)}")
        ill.append(_slice(load, fake, Behaviour(kind), arguments.seconds))
        say(f"{kind}: {ill[-1]:.1f}/s, {_circuit(cluster)}")
        fake.behave(_WELL)
        wait_until(lambda: _circuit(cluster) == "circuit closed", timeout_s=120, what="the circuit closes")
    ratio = statistics.median(ill) / statistics.median(well)
    verdict = "unharmed" if ratio >= _UNHARMED else "harmed"
    say(f"ML readings/s with Gemini well: {_listed(well)}; {kind}: {_listed(ill)}")
    say(f"ratio of medians {ratio:.2f}: {verdict} ({_UNHARMED} and over is)")
    return ratio


@contextmanager
def _saturated(clients: int) -> Iterator[tuple[Load, FakeGemini, Cluster]]:
    """A cluster with all the work that its clients can make."""
    with tempfile.TemporaryDirectory() as models, FakeGemini() as fake:
        copy_committed(Path(models))
        with Cluster(**_environment(fake, models)) as cluster:
            load = Load(cluster.url, clients)
            try:
                yield load, fake, cluster
            finally:
                load.close()


def _slice(load: Load, fake: FakeGemini, behaviour: Behaviour, seconds: float) -> float:
    fake.behave(behaviour)
    time.sleep(_SETTLE_S)
    return load.pace(seconds)


def _environment(fake: FakeGemini, models: str) -> dict[str, str]:
    """As in production, but for a circuit that closes soon enough after a slice for the next one."""
    return {
        "GEMINI_ENABLED": "true",
        "GEMINI_API_KEY": "test-key",
        "GEMINI_BASE_URL": fake.base_url,
        "GEMINI_TIMEOUT_S": "15",
        "GEMINI_GRACE_S": "20",
        "GEMINI_ATTEMPTS": "2",
        "GEMINI_CIRCUIT_COOLDOWN_S": "2",
        "GEMINI_CIRCUIT_MAX_COOLDOWN_S": "4",
        "MODELS_DIR": models,
    }


def _circuit(cluster: Cluster) -> str:
    return f"circuit {cluster.http.get('/readyz').json()['gemini_circuit']['state']}"


def _listed(paces: list[float]) -> str:
    return ", ".join(f"{pace:.1f}" for pace in paces)


if __name__ == "__main__":
    sys.exit(main())
