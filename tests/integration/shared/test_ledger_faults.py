"""The server crashes, hangs, fills up or refuses: nothing acknowledged is lost, and callers hear one error."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from shared.errors import LedgerFullError, LedgerRefusedError, LedgerUnavailableError, SetupError
from shared.job_state import JobState
from shared.ledger import Claim, Ledger, Limits
from shared.names import JobRef, Key, Stage
from shared.settings import Settings
from tests.integration.conftest import MakeLedger
from tests.support.jobs import Jobs
from tests.support.samples import (
    PROBLEM,
    SKIPPED,
    UNREADABLE,
    fused_result,
    ml_reading,
    new_job,
    new_ref,
    new_token,
)
from tests.support.valkey import Server
from tests.support.waiting import wait_until

MakeJobs = Callable[..., Jobs]

#: Each call that writes, on a running job whose ML stage is claimed.
WRITES: dict[str, Callable[[Ledger, Claim], object]] = {
    "create": lambda ledger, _: ledger.create(new_ref(), new_job()),
    "claim": lambda ledger, claim: ledger.claim(claim.job.ref, Stage.GEMINI, token=new_token()),
    "settle": lambda ledger, claim: ledger.settle(claim, ml_reading()),
    "release": lambda ledger, claim: ledger.release(claim, "broke"),
    "fail": lambda ledger, claim: ledger.fail(claim, PROBLEM, UNREADABLE),
    "complete": lambda ledger, claim: ledger.complete(claim, fused_result()),
    "cancel": lambda ledger, claim: ledger.cancel(claim.job.ref),
    "heartbeat": lambda ledger, _: ledger.heartbeat(Stage.ML, "ml@here"),
    "reaper_beat": lambda ledger, _: ledger.reaper_beat(),
    "offer_models": lambda ledger, _: ledger.offer_models({"m/1": "{}"}, default="m/1"),
    "check_writable": lambda ledger, _: ledger.check_writable(),
}

#: Each call that only reads, or writes only when there is something to do.
READS: dict[str, Callable[[Ledger, Claim], object]] = {
    "admit": lambda ledger, _: ledger.admit(new_ref(), Limits()),
    "memory_used": lambda ledger, _: ledger.memory_used(),
    "live_jobs": lambda ledger, _: ledger.live_jobs(),
    "read": lambda ledger, claim: ledger.read(claim.job.ref),
    "due": lambda ledger, _: ledger.due(10),
    "reap": lambda ledger, claim: ledger.reap([claim.job.ref], empty=set(), deserted=set()),
    "archived": lambda ledger, claim: ledger.archived(claim.job.ref),
    "holds": lambda ledger, claim: ledger.holds([claim.job.ref]),
    "alive": lambda ledger, _: ledger.alive(),
    "house": lambda ledger, _: ledger.house(),
    "counters": lambda ledger, _: ledger.counters(),
    "dead_letters": lambda ledger, _: ledger.dead_letters(),
}
CALLS = {**WRITES, **READS}


@pytest.fixture
def claim(jobs: Jobs) -> Claim:
    """The ML stage of a running job."""
    return jobs.claim(jobs.create(), Stage.ML)


# --- crash ------------------------------------------------------------------------------------------------


def test_a_created_job_survives_a_kill_of_the_server(valkey: Server, jobs: Jobs) -> None:
    ref = jobs.create(metadata={"n": 1})
    valkey.restart(kill=True)

    assert jobs.record(ref).metadata == {"n": 1}
    assert jobs.due_at(ref) is not None


def test_every_acknowledged_step_survives_a_kill_of_the_server(valkey: Server, jobs: Jobs) -> None:
    ref = jobs.create()
    steps: list[Callable[[], object]] = [
        lambda: jobs.settle(ref, Stage.ML),
        lambda: jobs.settle(ref, Stage.GEMINI),
        lambda: jobs.complete(ref),
    ]
    for step in steps:
        step()
        before = jobs.stored(ref)
        valkey.restart(kill=True)
        assert jobs.stored(ref) == before

    assert jobs.record(ref).state is JobState.COMPLETED


def test_a_kill_under_load_loses_no_acknowledged_job(valkey: Server, jobs: Jobs) -> None:
    acknowledged: list[JobRef] = []

    def submit() -> None:
        try:
            while True:
                acknowledged.append(jobs.create())
        except LedgerUnavailableError:
            return

    submitters = [threading.Thread(target=submit) for _ in range(4)]
    for submitter in submitters:
        submitter.start()
    wait_until(lambda: len(acknowledged) >= 100)
    valkey.stop(kill=True)
    for submitter in submitters:
        submitter.join()
    valkey.start()

    assert jobs.ledger.holds(acknowledged) == set(acknowledged)


def test_a_job_goes_on_where_it_stood_before_the_crash(valkey: Server, jobs: Jobs, claim: Claim) -> None:
    valkey.restart(kill=True)

    jobs.ledger.settle(claim, ml_reading())

    assert jobs.record(claim.job.ref).ml == ml_reading()


# --- away -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
def test_with_the_server_gone_every_call_says_so(valkey: Server, jobs: Jobs, claim: Claim, call: str) -> None:
    valkey.stop(kill=True)

    with pytest.raises(LedgerUnavailableError):
        CALLS[call](jobs.ledger, claim)


def test_an_impatient_ledger_gives_up_in_time(valkey: Server, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(patience_s=0.5)
    ledger.check_writable()
    valkey.stop(kill=True)
    began = time.monotonic()

    with pytest.raises(LedgerUnavailableError):
        ledger.check_writable()

    assert 0.4 < time.monotonic() - began < 2.5


def test_a_patient_ledger_rides_out_a_restart(valkey: Server, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(patience_s=20)
    ledger.check_writable()
    valkey.stop(kill=True)
    restart = threading.Timer(2, valkey.start)
    restart.start()
    ref = new_ref()

    ledger.create(ref, new_job())

    restart.join()
    assert ledger.read(ref) is not None


@pytest.fixture
def hung(valkey: Server, claim: Claim) -> Iterator[Claim]:
    """The claim on a server that takes connections and answers nothing."""
    with valkey.client() as client:
        client.client_pause(60_000)
    yield claim
    valkey.stop(kill=True)


def test_a_hung_server_is_unavailable(jobs: Jobs, hung: Claim) -> None:
    began = time.monotonic()

    with pytest.raises(LedgerUnavailableError):
        jobs.ledger.settle(hung, ml_reading())

    assert time.monotonic() - began < 9


def test_a_short_pause_of_the_server_only_costs_time(valkey: Server, jobs: Jobs) -> None:
    with valkey.client() as client:
        client.client_pause(300)

    jobs.ledger.check_writable()


# --- refusing writes --------------------------------------------------------------------------------------


@pytest.fixture
def full(valkey: Server, claim: Claim) -> Iterator[Claim]:
    """The claim on a server that is out of memory."""
    with valkey.client() as client:
        client.config_set("maxmemory", 1)
        yield claim


def test_a_full_server_takes_no_new_job(valkey: Server, jobs: Jobs, full: Claim) -> None:
    with valkey.client() as client:
        before = set(client.scan_iter())
        for attempt in (
            lambda: jobs.ledger.admit(new_ref(), Limits(per_minute=5)),
            lambda: jobs.ledger.create(new_ref(), new_job()),
        ):
            with pytest.raises(LedgerFullError):
                attempt()

        assert set(client.scan_iter()) == before
    assert jobs.ledger.live_jobs() == {"default": 1}


def test_a_repeated_creation_finds_its_job_on_a_full_server(valkey: Server, jobs: Jobs) -> None:
    ref = jobs.create()
    with valkey.client() as client:
        client.config_set("maxmemory", 1)

    assert jobs.ledger.create(ref, new_job()) == jobs.record(ref)


@pytest.mark.parametrize("call", sorted(WRITES.keys() - {"create"}))
def test_what_is_accepted_goes_on_though_memory_is_full(jobs: Jobs, full: Claim, call: str) -> None:
    WRITES[call](jobs.ledger, full)


def test_a_job_with_one_reader_is_concluded_though_memory_is_full(valkey: Server, jobs: Jobs) -> None:
    claim = jobs.claim(jobs.create(gemini_skipped=SKIPPED), Stage.ML)
    with valkey.client() as client:
        client.config_set("maxmemory", 1)

    assert jobs.ledger.conclude(claim, ml_reading(), fused_result())


def test_many_are_archived_by_a_server_that_was_started_again(valkey: Server, jobs: Jobs) -> None:
    refs = [jobs.ended(JobState.COMPLETED) for _ in range(3)]
    valkey.restart()

    jobs.ledger.archived_all(dict.fromkeys(refs))

    assert [jobs.due_at(ref) for ref in refs] == [None] * 3


def test_a_job_on_a_full_server_ends_and_leaves_no_copy(jobs: Jobs, full: Claim) -> None:
    ref = full.job.ref
    jobs.ledger.settle(full, ml_reading())
    jobs.settle(ref, Stage.GEMINI)
    jobs.complete(ref)
    assert jobs.record(ref).state is JobState.COMPLETED

    jobs.ledger.archived(ref)

    assert jobs.due_at(ref) is None
    assert jobs.ledger.read(ref) is None
    assert jobs.ledger.live_jobs() == {}


@pytest.mark.parametrize(("used", "kept"), [(0.0, 3600), (0.25, 1800), (0.5, 0), (3.0, 0)])
def test_a_finished_job_is_cached_the_shorter_the_fuller_memory_is(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, used: float, kept: int
) -> None:
    ref = jobs.ended(JobState.COMPLETED)
    monkeypatch.setattr(jobs.ledger, "memory_used", lambda: used)

    jobs.ledger.archived(ref)

    assert (jobs.ledger.read(ref) is not None) == (kept > 0)
    assert max(0, jobs.redis.ttl(Key.job(ref))) == pytest.approx(kept, abs=30)


def test_memory_is_measured_against_the_limit(valkey: Server, make_ledger: MakeLedger) -> None:
    assert make_ledger().memory_used() == 0
    with valkey.client() as client:
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory", 2 * used)
        assert make_ledger().memory_used() == pytest.approx(0.5, abs=0.2)


def test_memory_is_asked_for_once_a_second_at_most(valkey: Server, make_ledger: MakeLedger) -> None:
    ledger = make_ledger()

    def asked() -> int:
        with valkey.client() as client:
            return int(client.info("commandstats").get("cmdstat_info", {}).get("calls", 0))

    began, before = time.monotonic(), asked()
    for _ in range(500):
        ledger.memory_used()

    assert 1 <= asked() - before - 1 <= 1 + time.monotonic() - began


# --- read-only --------------------------------------------------------------------------------------------


@pytest.fixture
def read_only(valkey: Server, claim: Claim) -> Iterator[Claim]:
    """The claim on a server that became the replica of one that is away."""
    with valkey.client() as client:
        client.replicaof("127.0.0.1", 1)
        yield claim
        client.replicaof("NO", "ONE")


@pytest.mark.parametrize("call", WRITES)
def test_a_read_only_server_is_unavailable_and_says_so_at_once(
    jobs: Jobs, read_only: Claim, call: str
) -> None:
    before = jobs.stored(read_only.job.ref)

    with pytest.raises(LedgerRefusedError):
        WRITES[call](jobs.ledger, read_only)

    assert jobs.stored(read_only.job.ref) == before


def test_nobody_is_admitted_to_a_read_only_server(jobs: Jobs, read_only: Claim) -> None:
    with pytest.raises(LedgerRefusedError):
        jobs.ledger.admit(new_ref(), Limits())


@pytest.fixture
def broken_disk(valkey: Server, claim: Claim) -> Iterator[Claim]:
    """The claim on a server that refuses writes because it could not save: a folder is in the way."""
    in_the_way = valkey.folder / "dump.rdb"
    in_the_way.mkdir()
    with valkey.client() as client:
        client.config_set("save", "3600 1000000")
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        yield claim
    in_the_way.rmdir()
    valkey.stop(kill=True)


def test_a_server_that_cannot_save_is_unavailable(jobs: Jobs, broken_disk: Claim) -> None:
    with pytest.raises(LedgerRefusedError):
        jobs.ledger.settle(broken_disk, ml_reading())
    with pytest.raises(LedgerRefusedError):
        jobs.ledger.admit(new_ref(), Limits())


# --- set up wrongly ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "redis://host:port/0"])
def test_an_unusable_url_is_a_setup_error_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(SetupError, match="MEDISCAN_REDIS_URL") as raised:
        Ledger.open(Settings(redis_url=url), patience_s=1)

    assert not url or url not in raised.value.detail
