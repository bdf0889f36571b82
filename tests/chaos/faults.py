"""Everything that is done to the cluster. Each fault hurts its targets, heals them, and says what it did."""

import contextlib
import random
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import redis

from embedded.layout import SERVICES
from shared.job_state import StageState
from shared.names import Stage
from tests.chaos import messages
from tests.chaos.arena import Arena
from tests.chaos.proxy import Proxy
from tests.fake_gemini import Behaviour, Kind
from tests.support.images import scan, slow_scan
from tests.support.valkey import Server
from tests.support.waiting import wait_until

#: Longer than each lease in the arena's settings.
_LONGER_THAN_A_LEASE_S = {
    "ml_worker": 7.5,
    "gemini_worker": 5.5,
    "fusion": 5.5,
    "reaper": 3.0,
    "gateway": 3.0,
}
_CLOCK_STEP_S = 300
_PATIENCE_S = 30.0
_GEMINI_FAULTS = (
    Kind.HANG,
    Kind.CUT,
    Kind.CUT_MIDWAY,
    Kind.RATE_LIMITED,
    Kind.INTERNAL_ERROR,
    Kind.OVERLOADED,
    Kind.NOT_JSON,
    Kind.EMPTY_CANDIDATE,
)


@dataclass(frozen=True)
class Fault:
    """One way to hurt the cluster."""

    name: str
    #: What it needs for itself while it lasts.
    targets: tuple[str, ...]
    #: Hurts and heals; returns what there is to say about it.
    strike: Callable[[Arena, random.Random], str]


# --- processes --------------------------------------------------------------------------------------------


def _kill(service: str) -> Callable[[Arena, random.Random], str]:
    def strike(arena: Arena, _: random.Random) -> str:
        arena.cluster.kill(service)
        arena.cluster.start(service)
        return ""

    return strike


def _terminate(service: str) -> Callable[[Arena, random.Random], str]:
    def strike(arena: Arena, _: random.Random) -> str:
        took = arena.terminate(service)
        arena.cluster.start(service)
        return f"ended after {took:.2f} s"

    return strike


def _stop(service: str) -> Callable[[Arena, random.Random], str]:
    def strike(arena: Arena, _: random.Random) -> str:
        seconds = _LONGER_THAN_A_LEASE_S[service]
        before = arena.counters()
        with arena.stopped(service):
            time.sleep(seconds)
        time.sleep(0.5)
        late = {
            n: c - before[n] for n, c in arena.counters().items() if n.startswith("late:") and c > before[n]
        }
        return f"stopped for {seconds} s; fenced off afterwards: {late or 'nothing'}"

    return strike


def _stop_while_reading(arena: Arena, _: random.Random) -> str:
    """The ML worker stands still in the middle of a job until its lease is over: its late reading must not count."""
    job_id = _submit(arena, slow_scan())
    if not _is_claimed(arena, job_id):
        return "was done before it could be stopped"
    token_before = arena.counters()["late:ml"]
    with arena.stopped("ml_worker"):
        time.sleep(_LONGER_THAN_A_LEASE_S["ml_worker"])
    time.sleep(2)
    return f"late readings fenced off: {arena.counters()['late:ml'] - token_before}"


def _kill_child(service: str) -> Callable[[Arena, random.Random], str]:
    return lambda arena, _: f"{arena.kill_children(service)} children"


def _poison(arena: Arena, _: random.Random) -> str:
    """An image whose reader dies each time: so many deliveries, then a dead letter."""
    job_id = _submit(arena, slow_scan())
    kills = 0
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up and (job := arena.record(job_id)) is not None and not job.is_over:
        if job.stages[Stage.ML].state is StageState.CLAIMED:
            kills += arena.kill_children("ml_worker")
            _until_released(arena, job_id)
        time.sleep(0.02)
    ended = arena.record(job_id)
    return f"{kills} children died of it; it ended as {ended.state if ended else 'archived'}"


def _until_released(arena: Arena, job_id: str) -> None:
    def is_released() -> bool:
        job = arena.record(job_id)
        return job is None or job.is_over or job.stages[Stage.ML].state is not StageState.CLAIMED

    with contextlib.suppress(AssertionError):
        wait_until(is_released, timeout_s=10, least_s=0)


def _submit(arena: Arena, image: bytes) -> str:
    """A job of the fault's own, accepted as soon as the gateway answers."""

    def accepted() -> str | None:
        with contextlib.suppress(httpx.TransportError):
            url = f"{arena.cluster.url}/v1/jobs"
            form = {"files": {"image": ("scan", image)}, "data": {"priority": "stat"}}
            answer = arena.cluster.http.post(url, **form)  # type: ignore[arg-type]
            return str(answer.json()["id"]) if answer.status_code == 202 else None
        return None

    job_id = wait_until(accepted, timeout_s=_PATIENCE_S, what="a fault's own job is accepted")
    assert job_id is not None
    arena.extra_jobs.append(job_id)
    return job_id


def _is_claimed(arena: Arena, job_id: str) -> bool:
    def claimed_or_over() -> str:
        job = arena.record(job_id)
        state = job.stages[Stage.ML].state if job else StageState.DONE
        return "" if state is StageState.PENDING else state

    with contextlib.suppress(AssertionError):
        return wait_until(claimed_or_over, timeout_s=_PATIENCE_S, least_s=0) == StageState.CLAIMED
    return False


def _gateway_killed_mid_upload(arena: Arena, draw: random.Random) -> str:
    """Half an image is with the blob store when the gateway dies."""
    where = urlsplit(arena.cluster.url)
    head = (
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n"
        + b"".join(f"{name}: {value}\r\n".encode() for name, value in _own_headers(arena))
        + b'\r\n--x\r\nContent-Disposition: form-data; name="image"; filename="i"\r\n\r\n'
    )
    with socket.create_connection((where.hostname or "", where.port or 80), timeout=10) as wire:
        wire.sendall(head + scan(64)[:-12] + draw.randbytes(2_500_000))
        time.sleep(0.5)
        arena.cluster.kill("gateway")
    arena.cluster.start("gateway")
    return f"{len(list(arena.cluster.blobs.rglob('*#*')))} half-written files lie in the store"


def _own_headers(arena: Arena) -> Iterator[tuple[str, str]]:
    theirs = {"accept", "accept-encoding", "connection", "user-agent"}
    return ((name, value) for name, value in arena.cluster.http.headers.items() if name not in theirs)


def _gateway_killed_before_publish(arena: Arena, _: random.Random) -> str:
    """The broker stands still, so submissions are recorded and not published; then the gateway dies."""
    with _standing_still(arena.cluster.broker_server):
        time.sleep(1.0)
        arena.cluster.kill("gateway")
    arena.cluster.start("gateway")
    return ""


# --- servers ----------------------------------------------------------------------------------------------


def _server(arena: Arena, which: str) -> tuple[Server, Proxy]:
    if which == "ledger":
        return arena.cluster.ledger_server, arena.ledger_wire
    return arena.cluster.broker_server, arena.broker_wire


@contextmanager
def _standing_still(server: Server) -> Iterator[None]:
    server.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.signal(signal.SIGCONT)


def _restart(which: str, *, kill: bool) -> Callable[[Arena, random.Random], str]:
    def strike(arena: Arena, draw: random.Random) -> str:
        server, _ = _server(arena, which)
        server.stop(kill=kill)
        away = draw.uniform(0, 3)
        time.sleep(away)
        server.start()
        return f"away for {away:.1f} s" + ("" if which == "ledger" else ", back empty")

    return strike


def _pause(which: str) -> Callable[[Arena, random.Random], str]:
    def strike(arena: Arena, draw: random.Random) -> str:
        server, _ = _server(arena, which)
        seconds = draw.uniform(1, 4)
        with server.client() as client:
            client.client_pause(int(seconds * 1000))
        time.sleep(seconds)
        return f"for {seconds:.1f} s"

    return strike


def _out_of_memory(which: str) -> Callable[[Arena, random.Random], str]:
    def strike(arena: Arena, draw: random.Random) -> str:
        server, _ = _server(arena, which)
        seconds = draw.uniform(1, 4)
        with server.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 1)
            try:
                time.sleep(seconds)
            finally:
                client.config_set("maxmemory", 0)
        return f"for {seconds:.1f} s"

    return strike


def _wire(which: str, how: str) -> Callable[[Arena, random.Random], str]:
    def strike(arena: Arena, draw: random.Random) -> str:
        _, wire = _server(arena, which)
        seconds = draw.uniform(1, 5)
        try:
            _hurt(wire, how, draw)
            time.sleep(seconds)
        finally:
            wire.heal()
        return f"for {seconds:.1f} s"

    return strike


def _hurt(wire: Proxy, how: str, draw: random.Random) -> None:
    match how:
        case "slow":
            wire.delay_s = draw.uniform(0.02, 0.2)
        case "held":
            wire.is_held = True
        case "lossy":
            wire.lost_answers = draw.uniform(0.01, 0.2)
        case "cut":
            wire.cut()


def _step_clock(arena: Arena, draw: random.Random) -> str:
    """Forward for good, or back for a while; a step back for good puts off rescues by as much (docs/chaos.md)."""
    if not arena.clock.can_step:
        return "not done: libfaketime is not installed"
    if draw.random() < 0.5:
        arena.clock.step(_CLOCK_STEP_S)
        time.sleep(2)
        return f"{_CLOCK_STEP_S} s forward"
    arena.clock.step(-_CLOCK_STEP_S)
    time.sleep(6)
    arena.clock.step(_CLOCK_STEP_S)
    return f"{_CLOCK_STEP_S} s back, for 6 s"


# --- messages ---------------------------------------------------------------------------------------------


def _messages(change: Callable[["redis.Redis", random.Random], int]) -> Callable[[Arena, random.Random], str]:
    def strike(arena: Arena, draw: random.Random) -> str:
        workers = ("ml_worker", "gemini_worker", "fusion")
        with contextlib.ExitStack() as held, arena.cluster.broker_server.client() as client:
            for worker in workers:
                held.enter_context(arena.stopped(worker))
            time.sleep(1)  # something must lie in the queues
            return f"{change(client, draw)} messages"

    return strike


# --- blobs ------------------------------------------------------------------------------------------------


def _blobs_full(arena: Arena, draw: random.Random) -> str:
    """No process of ours may make any file longer: writes fail as on a full or read-only disk, reads do not."""
    seconds = draw.uniform(1, 4)
    pids = [pid for service in SERVICES for pid in arena.processes(service)]
    for pid in pids:
        limit_files(pid, 0)
    time.sleep(seconds)
    for pid in {pid for service in SERVICES for pid in arena.processes(service)} | set(pids):
        limit_files(pid, resource.RLIM_INFINITY)
    return f"for {seconds:.1f} s"


def limit_files(pid: int, limit: int) -> None:
    """From now on a process may make no file longer than this; no error if it is gone."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def _blobs_damaged(arena: Arena, draw: random.Random) -> str:
    """Stored images that no worker has read yet are removed or altered."""
    with arena.stopped("ml_worker"), arena.stopped("gemini_worker"):
        time.sleep(0.7)
        images = sorted(arena.cluster.blobs.rglob("*.image"))[-40:]
        chosen = draw.sample(images, min(3, len(images)))
        for path in chosen:
            _damage(path, draw)
    return f"{len(chosen)} images"


def _damage(path: Path, draw: random.Random) -> None:
    if draw.random() < 0.5:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(draw.randbytes(100))


# --- Gemini -----------------------------------------------------------------------------------------------


def _gemini(arena: Arena, draw: random.Random) -> str:
    """Gemini misbehaves under full load, and recovers."""
    kind = draw.choice(_GEMINI_FAULTS)
    arena.gemini.behave(Behaviour(kind))
    time.sleep(4)
    arena.gemini.behave(Behaviour())
    return kind


def _all() -> Iterator[Fault]:
    for service in SERVICES:
        yield Fault(f"kill {service}", (service,), _kill(service))
        yield Fault(f"terminate {service}", (service,), _terminate(service))
        yield Fault(f"stop {service}", (service,), _stop(service))
    for service in ("ml_worker", "fusion"):
        yield Fault(f"kill child of {service}", (service,), _kill_child(service))
    yield Fault("stop ml_worker while it reads", ("ml_worker",), _stop_while_reading)
    yield Fault("poison image", ("ml_worker",), _poison)
    yield Fault("kill gateway mid-upload", ("gateway",), _gateway_killed_mid_upload)
    yield Fault("kill gateway before publish", ("gateway", "broker"), _gateway_killed_before_publish)
    for which in ("ledger", "broker"):
        yield Fault(f"kill {which}", (which,), _restart(which, kill=True))
        yield Fault(f"terminate {which}", (which,), _restart(which, kill=False))
        yield Fault(f"pause {which}", (which,), _pause(which))
        yield Fault(f"{which} out of memory", (which,), _out_of_memory(which))
        for how in ("slow", "held", "lossy", "cut"):
            yield Fault(f"wire to {which} {how}", (which,), _wire(which, how))
    workers = ("broker", "ml_worker", "gemini_worker", "fusion")
    yield Fault("every message twice", workers, _messages(messages.double))
    yield Fault("messages lost", workers, _messages(messages.lose))
    yield Fault("messages reordered", workers, _messages(messages.shuffle))
    yield Fault("blob store full", (*SERVICES, "blobs"), _blobs_full)
    yield Fault("blobs damaged", ("ml_worker", "gemini_worker", "blobs"), _blobs_damaged)
    yield Fault("Gemini down", ("gemini",), _gemini)
    yield Fault("ledger's clock stepped", ("ledger",), _step_clock)


#: By name.
FAULTS = {fault.name: fault for fault in _all()}

#: One or two of each kind, none of which lasts long: what fits into `make test`.
SHORT = (
    *(f"kill {service}" for service in SERVICES),
    "kill child of ml_worker",
    "terminate ml_worker",
    "stop ml_worker while it reads",
    "stop gemini_worker",
    "poison image",
    "kill gateway mid-upload",
    "kill gateway before publish",
    "kill ledger",
    "kill broker",
    "ledger out of memory",
    "wire to ledger lossy",
    "wire to ledger cut",
    "wire to broker lossy",
    "every message twice",
    "messages lost",
    "messages reordered",
    "blob store full",
    "blobs damaged",
    "Gemini down",
)
