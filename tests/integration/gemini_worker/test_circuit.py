"""The circuit breaker on a real server: what opens it, who probes, what closes it, and who is too late to matter."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import cast

import pytest
import redis

from services.gemini_worker.circuit import Admission, CircuitBreaker
from services.gemini_worker.failure import NotSentError, ReadingFailedError
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.circuit_state import advance_circuit
from shared.contracts import Circuit, CircuitState, UnavailableReason
from shared.errors import LedgerUnavailableError
from shared.ledger import Ledger
from shared.ledger.connection import connect
from shared.names import Key
from tests.integration.conftest import MakeLedger
from tests.support.valkey import Server

TIMEOUT = ReadingFailedError(UnavailableReason.TIMEOUT, "A sentence.")
BLOCKED = ReadingFailedError(UnavailableReason.BLOCKED, "A sentence.")
KEY_REJECTED = ReadingFailedError(UnavailableReason.KEY_REJECTED, "A sentence.")
LIMITED = NotSentError(UnavailableReason.RATE_LIMITED, "A sentence.", 5)


def told_to_wait(seconds: float) -> ReadingFailedError:
    return ReadingFailedError(UnavailableReason.RATE_LIMITED, "A sentence.", seconds)


class Rig:
    """One worker's breaker and an operator's view of it; time passes by moving what is stored into the past."""

    def __init__(self, valkey: Server, ledger: Ledger, client: "redis.Redis", **settings: float) -> None:
        chosen = {
            "gemini_circuit_min_calls": 4,
            "gemini_circuit_cooldown_s": 10,
            "gemini_circuit_max_cooldown_s": 30,
            **settings,
        }
        self.settings = GeminiWorkerSettings(redis_url=valkey.url, **chosen)  # type: ignore[arg-type]
        self.ledger = ledger
        self.redis = client
        self._own = connect(self.settings, patience_s=0.2)
        self.jitter = 0.0
        self.breaker = self.another_worker()

    def another_worker(self) -> CircuitBreaker:
        return CircuitBreaker(self._own, self.settings, jitter=lambda: self.jitter)

    def close(self) -> None:
        self._own.close()

    def call(self, failure: ReadingFailedError | None = None, times: int = 1) -> None:
        """Calls that must be let through, one after another."""
        for _ in range(times):
            self.breaker.record(self.breaker.admit(), failure)

    def refused(self) -> NotSentError:
        with pytest.raises(NotSentError) as caught:
            self.breaker.admit()
        assert caught.value.reason is UnavailableReason.CIRCUIT_OPEN
        return caught.value

    @property
    def seen(self) -> Circuit:
        return self.ledger.gemini_circuit()

    def state(self) -> CircuitState:
        return self.seen.state

    def pass_time(self) -> None:
        """The pause, or the probe's lease, is over."""
        self.redis.hset(Key.GEMINI_CIRCUIT, mapping={"retry_at": "1", "probe_until": "1"})

    def set_clock_back(self, seconds: float) -> None:
        """Leave behind what a server would hold whose clock was that much later."""
        for field in ("retry_at", "probe_until", "waits_since"):
            if stored := self.redis.hget(Key.GEMINI_CIRCUIT, field):
                self.redis.hset(Key.GEMINI_CIRCUIT, field, f"{float(str(stored)) + seconds:.6f}")

    def open(self, failure: ReadingFailedError = KEY_REJECTED) -> None:
        self.call(failure)
        assert self.state() is CircuitState.OPEN

    def probe(self, failure: ReadingFailedError | None) -> None:
        """Let the pause end and one probe go out."""
        self.pass_time()
        self.call(failure)


MakeRig = Callable[..., Rig]


@pytest.fixture
def make_rig(valkey: Server, make_ledger: MakeLedger) -> Iterator[MakeRig]:
    rigs = []
    with valkey.client() as client:

        def make(**settings: float) -> Rig:
            rigs.append(Rig(valkey, make_ledger(), client, **settings))
            return rigs[-1]

        yield make
        for rig in rigs:
            rig.close()


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig()


# --- what opens it ----------------------------------------------------------------------------------------


def test_a_circuit_is_closed_until_something_happens(rig: Rig) -> None:
    assert rig.seen == Circuit(state=CircuitState.CLOSED)
    rig.call(times=20)
    assert rig.seen == Circuit(state=CircuitState.CLOSED)


def test_too_few_calls_say_nothing(rig: Rig) -> None:
    rig.call(TIMEOUT, times=3)
    assert rig.state() is CircuitState.CLOSED
    rig.call(TIMEOUT)
    assert rig.state() is CircuitState.OPEN


def test_it_opens_at_the_ratio_and_not_below(rig: Rig) -> None:
    rig.call(times=5)
    rig.call(TIMEOUT, times=4)
    assert rig.state() is CircuitState.CLOSED
    rig.call(TIMEOUT)
    assert rig.state() is CircuitState.OPEN
    assert rig.seen.cause == "timeout"


def test_what_depends_on_one_image_does_not_open_it(rig: Rig) -> None:
    rig.call(BLOCKED, times=20)
    assert rig.state() is CircuitState.CLOSED


def test_calls_older_than_the_window_are_forgotten(rig: Rig) -> None:
    rig.call(TIMEOUT, times=3)
    stored = cast(dict[str, str], rig.redis.hgetall(Key.GEMINI_CIRCUIT_WINDOW))
    rig.redis.delete(Key.GEMINI_CIRCUIT_WINDOW)
    aged = {f"{int(at.split(':')[0]) - 11}:failed": count for at, count in stored.items()}
    for field, count in aged.items():
        rig.redis.hset(Key.GEMINI_CIRCUIT_WINDOW, field, count)
    rig.call(TIMEOUT, times=3)
    assert rig.state() is CircuitState.CLOSED
    assert not set(aged) & set(rig.redis.hkeys(Key.GEMINI_CIRCUIT_WINDOW))


def test_the_window_leaves_no_litter(rig: Rig) -> None:
    rig.call()
    assert 0 < rig.redis.pttl(Key.GEMINI_CIRCUIT_WINDOW) <= 30_000


def test_workers_count_together(rig: Rig) -> None:
    workers = [rig.breaker, rig.another_worker()]
    for turn in range(4):
        worker = workers[turn % 2]
        worker.record(worker.admit(), TIMEOUT)
    assert rig.state() is CircuitState.OPEN


def test_a_refused_key_opens_at_once_and_says_so(rig: Rig) -> None:
    rig.call(KEY_REJECTED)
    assert rig.seen.cause == "key_rejected"
    assert "refused the key" in rig.refused().detail


# --- while it is open -------------------------------------------------------------------------------------


def test_while_open_nobody_asks(rig: Rig) -> None:
    rig.call(TIMEOUT, times=4)
    refusal = rig.refused()
    assert "has been failing (timeout)" in refusal.detail
    assert refusal.retry_after_s == pytest.approx(rig.seen.retry_in_s, abs=5)


def test_the_server_s_wish_is_how_long_it_is_open(rig: Rig) -> None:
    rig.jitter = 0.9
    rig.call(told_to_wait(120))
    assert 60 < rig.seen.retry_in_s <= 120


def test_a_short_wish_is_taken_at_its_word(rig: Rig) -> None:
    rig.call(told_to_wait(1))
    assert rig.seen.retry_in_s <= 1


def test_a_wish_out_of_all_proportion_is_not_believed(rig: Rig) -> None:
    rig.call(told_to_wait(10**9))
    assert rig.seen.retry_in_s <= 3600


def test_a_failing_server_that_says_when_is_not_asked_before(rig: Rig) -> None:
    overloaded = ReadingFailedError(UnavailableReason.SERVER_ERROR, "A sentence.", 200)
    rig.call(overloaded, times=4)
    assert 150 < rig.seen.retry_in_s <= 200


@pytest.mark.parametrize(("jitter", "pauses"), [(0.0, [5, 10, 15, 15]), (0.998, [10, 20, 30, 30])])
def test_pauses_double_up_to_a_limit_and_are_jittered(rig: Rig, jitter: float, pauses: list[float]) -> None:
    rig.jitter = jitter
    rig.open()
    found = [rig.seen.retry_in_s]
    for _ in pauses[1:]:
        rig.probe(TIMEOUT)
        found.append(rig.seen.retry_in_s)
    # What passed since is missing; a step is never mistaken for the one below.
    assert all(pause - 4 < seen <= pause for pause, seen in zip(pauses, found, strict=True)), found


def test_a_probe_that_is_told_to_wait_briefly_waits_for_the_growing_pause(rig: Rig) -> None:
    rig.open(told_to_wait(1))
    rig.probe(told_to_wait(1))
    assert 5 < rig.seen.retry_in_s <= 10


@pytest.mark.parametrize("probing", [False, True])
def test_a_clock_that_is_set_back_makes_no_pause_longer(rig: Rig, probing: bool) -> None:
    rig.open()
    if probing:
        rig.pass_time()
        rig.breaker.admit()
    rig.set_clock_back(7200)
    assert rig.seen.retry_in_s > 7000
    rig.refused()
    assert 0 < rig.seen.retry_in_s <= (rig.settings.gemini_timeout_s + 5 if probing else 5)


def test_calls_of_before_the_clock_was_set_back_are_forgotten(rig: Rig) -> None:
    rig.redis.hset(Key.GEMINI_CIRCUIT_WINDOW, "99999999999:failed", 50)
    rig.call(TIMEOUT)
    assert rig.state() is CircuitState.CLOSED


def test_a_call_that_began_before_it_opened_changes_nothing(rig: Rig) -> None:
    early = [rig.breaker.admit() for _ in range(3)]
    rig.open()
    shown = rig.redis.hgetall(Key.GEMINI_CIRCUIT)
    for admission, failure in zip(early, (None, TIMEOUT, KEY_REJECTED), strict=True):
        rig.breaker.record(admission, failure)
    assert rig.redis.hgetall(Key.GEMINI_CIRCUIT) == shown


def test_a_call_from_before_an_outage_says_nothing_after_it(rig: Rig) -> None:
    early = rig.breaker.admit()
    rig.open()
    rig.probe(None)
    rig.breaker.record(early, KEY_REJECTED)
    assert rig.state() is CircuitState.CLOSED


# --- the probe --------------------------------------------------------------------------------------------


def test_exactly_one_of_many_probes(rig: Rig) -> None:
    rig.open()
    rig.pass_time()
    workers = [rig.another_worker() for _ in range(4)]

    def ask(turn: int) -> Admission | None:
        try:
            return workers[turn % 4].admit()
        except NotSentError:
            return None

    with ThreadPoolExecutor(16) as pool:
        admitted = [found for found in pool.map(ask, range(64)) if found]
    assert len(admitted) == 1
    assert rig.state() is CircuitState.HALF_OPEN
    assert rig.ledger.counters()["gemini_circuit:probes"] == 1


@pytest.mark.parametrize("failure", [None, BLOCKED])
def test_a_probe_that_is_answered_closes_it_for_all(rig: Rig, failure: ReadingFailedError | None) -> None:
    rig.open()
    rig.probe(failure)
    assert rig.state() is CircuitState.CLOSED
    rig.call(times=5)


def test_after_closing_the_count_and_the_pauses_begin_anew(rig: Rig) -> None:
    rig.jitter = 0.998
    rig.call(TIMEOUT, times=4)
    rig.probe(TIMEOUT)
    rig.probe(None)
    rig.call(TIMEOUT, times=3)
    assert rig.state() is CircuitState.CLOSED
    rig.open()
    assert rig.seen.retry_in_s <= 10


def test_a_probe_that_fails_opens_it_again(rig: Rig) -> None:
    rig.open()
    rig.probe(TIMEOUT)
    assert (rig.state(), rig.seen.cause) == (CircuitState.OPEN, "timeout")
    rig.refused()


def test_a_probe_s_place_is_free_again_when_its_worker_died(rig: Rig) -> None:
    rig.open()
    rig.pass_time()
    dead = rig.breaker.admit()
    assert 0 < rig.seen.retry_in_s <= rig.settings.gemini_timeout_s + 5
    rig.refused()
    rig.pass_time()
    alive = rig.breaker.admit()
    rig.breaker.record(dead, None)
    assert rig.state() is CircuitState.HALF_OPEN, "the dead one's late answer counted"
    rig.breaker.record(alive, None)
    assert rig.state() is CircuitState.CLOSED


def test_a_probe_that_our_own_limit_holds_back_leaves_its_place_to_the_next(rig: Rig) -> None:
    rig.open()
    rig.probe(LIMITED)
    assert rig.state() is CircuitState.HALF_OPEN
    rig.call(None)
    assert rig.state() is CircuitState.CLOSED


def test_a_repeated_record_after_a_lost_reply_changes_nothing(rig: Rig) -> None:
    rig.open()
    rig.pass_time()
    probe = rig.breaker.admit()
    for _ in range(2):
        rig.breaker.record(probe, TIMEOUT)
    assert rig.redis.hget(Key.GEMINI_CIRCUIT, "trips") == "2"


def test_whatever_happens_only_steps_of_the_table_are_taken(rig: Rig) -> None:
    chance = random.Random(7)
    outcomes = [None, None, TIMEOUT, TIMEOUT, TIMEOUT, BLOCKED, KEY_REJECTED, LIMITED, told_to_wait(5)]
    held: list[Admission] = []
    states = [rig.state()]
    for _ in range(400):
        if chance.random() < 0.15:
            rig.pass_time()
        if held and chance.random() < 0.6:
            rig.breaker.record(held.pop(chance.randrange(len(held))), chance.choice(outcomes))
        elif len(held) < 5:
            try:
                held.append(rig.breaker.admit())
            except NotSentError:
                held = held[1:]  # some workers die
        states.append(rig.state())
    changes = [(a, b) for a, b in pairwise(states) if a is not b]
    for a, b in changes:
        advance_circuit(a, b)
    assert len(set(changes)) == 4, "the walk did not take every step"


# --- without a server -------------------------------------------------------------------------------------


def test_with_redis_away_nobody_asks(rig: Rig, valkey: Server) -> None:
    valkey.stop()
    with pytest.raises(LedgerUnavailableError):
        rig.breaker.admit()


def test_with_redis_away_an_answer_in_hand_is_not_lost(rig: Rig, valkey: Server) -> None:
    admission = rig.breaker.admit()
    valkey.stop()
    rig.breaker.record(admission, None)
