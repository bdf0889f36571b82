"""Token buckets and daily quotas: equal to a model on every sequence, and never exceeded by many at once."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import LedgerUnavailableError
from shared.names import Key
from shared.token_bucket import LIBRARY, TokenBuckets
from tests.support.valkey import Server

#: As `take`, at a time that the test chooses; so the server's own must not make the key expire.
_TAKE_AT = """
local allowed, left, wait, full = take_tokens(
  KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
redis.call('PERSIST', KEYS[1])
return {allowed and 1 or 0, tostring(left), string.format('%.9f', wait), string.format('%.9f', full)}
"""
_NOON_US = 1_800_014_400_000_000
#: What the script forgives, so that rounding never refuses who waited as long as told.
_FORGIVEN = Fraction(1, 10**9)

_SETTINGS = settings(
    max_examples=80,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@dataclass
class Model:
    """A token bucket in exact arithmetic."""

    rate: Fraction
    burst: int
    tokens: Fraction
    at_us: int = _NOON_US

    def take(self, now_us: int, n: int) -> tuple[bool, Fraction]:
        """Whether n tokens were taken, and the seconds until they are there."""
        self.tokens = min(Fraction(self.burst), self.tokens + (now_us - self.at_us) * self.rate / 10**6)
        self.at_us = now_us
        allowed = self.tokens + _FORGIVEN >= n
        wait = Fraction(0) if allowed else (n - self.tokens) / self.rate
        self.tokens = max(Fraction(0), self.tokens - n) if allowed else self.tokens
        return allowed, wait


@pytest.fixture
def client(valkey: Server) -> Iterator["redis.Redis"]:
    with valkey.client() as client:
        yield client


@pytest.fixture
def buckets(client: "redis.Redis") -> TokenBuckets:
    return TokenBuckets(client)


@_SETTINGS
@given(
    rate=st.sampled_from([0.01, 0.1, 1 / 3, 1.0, 7.0, 1000.0]),
    burst=st.integers(1, 12),
    calls=st.lists(
        st.tuples(st.integers(0, 5_000_000) | st.just(None), st.integers(1, 12)), min_size=1, max_size=40
    ),
)
def test_it_does_what_the_model_does(
    client: "redis.Redis", rate: float, burst: int, calls: list[tuple[int | None, int]]
) -> None:
    client.flushall()
    take_at = client.register_script(LIBRARY + _TAKE_AT)
    model = Model(Fraction(rate), burst, Fraction(burst))
    now_us, told_us, told_for = _NOON_US, 0, 1
    for pause_us, wanted in calls:
        # None: the call before once more, after exactly the wait that it was told.
        n = told_for if pause_us is None else min(wanted, burst)
        now_us += told_us if pause_us is None else pause_us
        reply = take_at(keys=["bucket"], args=[now_us, repr(rate), burst, n])
        allowed, wait = model.take(now_us, n)

        assert bool(reply[0]) == allowed
        assert allowed or pause_us is not None or not told_us
        assert float(reply[1]) == pytest.approx(float(model.tokens), abs=1e-6)
        assert float(reply[2]) == pytest.approx(float(wait), abs=2e-6)
        assert float(reply[3]) == pytest.approx(float((burst - model.tokens) / model.rate), abs=1e-3)
        told_us, told_for = round(float(reply[2]) * 1e6), n


def test_of_many_at_once_no_more_than_the_burst_are_let_through(valkey: Server) -> None:
    def take(_: int) -> list[bool]:
        with valkey.client() as client:
            buckets = TokenBuckets(client)
            return [buckets.take("crowd", 1e-6, 30).allowed for _ in range(10)]

    with ThreadPoolExecutor(12) as crowd:
        answers = [allowed for some in crowd.map(take, range(12)) for allowed in some]

    assert sum(answers) == 30


def test_who_waits_as_told_is_let_through(buckets: TokenBuckets) -> None:
    assert buckets.take("a", 5, 2, n=2).allowed
    refused = buckets.take("a", 5, 2, n=2)

    assert not refused.allowed
    assert 0 < refused.retry_after_s <= 0.4
    time.sleep(refused.retry_after_s)
    assert buckets.take("a", 5, 2, n=2).allowed


def test_it_says_what_is_left(buckets: TokenBuckets) -> None:
    left = [buckets.take("a", 1e-6, 3).remaining for _ in range(4)]

    assert left == [2, 1, 0, 0]


def test_names_do_not_share(buckets: TokenBuckets) -> None:
    assert buckets.take("a", 1e-6, 1).allowed
    assert buckets.take("b", 1e-6, 1).allowed
    assert not buckets.take("a", 1e-6, 1).allowed


def test_a_refusal_writes_nothing(client: "redis.Redis", buckets: TokenBuckets) -> None:
    buckets.take("a", 1e-6, 1)
    before = client.dump(Key.bucket("a"))

    assert not buckets.take("a", 1e-6, 1).allowed
    assert client.dump(Key.bucket("a")) == before


def test_a_bucket_is_forgotten_once_it_is_full(client: "redis.Redis", buckets: TokenBuckets) -> None:
    buckets.take("a", 0.1, 5, n=3)

    assert 29_000 < client.pttl(Key.bucket("a")) <= 30_001


@pytest.mark.parametrize(("rate", "burst", "n"), [(0, 1, 1), (-1, 1, 1), (1, 0, 1), (1, 3, 4), (1, 3, 0)])
def test_a_bucket_that_could_never_serve_is_refused(
    buckets: TokenBuckets, rate: float, burst: int, n: int
) -> None:
    with pytest.raises(ValueError, match="bucket"):
        buckets.take("a", rate, burst, n)


# --- daily quotas -----------------------------------------------------------------------------------------


@_SETTINGS
@given(limit=st.integers(0, 20), parts=st.lists(st.integers(1, 8), max_size=20))
def test_a_quota_is_spent_as_far_as_it_goes(
    client: "redis.Redis", buckets: TokenBuckets, limit: int, parts: list[int]
) -> None:
    client.flushall()
    left = limit
    for n in parts:
        spent = buckets.spend("a", limit, n)
        assert spent.allowed == (n <= left)
        left -= n if spent.allowed else 0
        assert spent.remaining == left


def test_of_many_at_once_no_more_than_the_quota_are_let_through(valkey: Server) -> None:
    def spend(_: int) -> int:
        with valkey.client() as client:
            return sum(TokenBuckets(client).spend("crowd", 25).allowed for _ in range(10))

    with ThreadPoolExecutor(10) as crowd:
        assert sum(crowd.map(spend, range(10))) == 25


def test_a_quota_lasts_until_midnight_utc(client: "redis.Redis", buckets: TokenBuckets) -> None:
    assert buckets.spend("a", 1).allowed
    until = client.expiretime(Key.spent("a"))
    seconds, _ = client.time()
    refused = buckets.spend("a", 1)

    assert until % 86400 == 0
    assert 0 < until - seconds <= 86400
    assert refused.retry_after_s == pytest.approx(until - seconds, abs=30)


def test_at_midnight_there_is_a_new_quota(client: "redis.Redis", buckets: TokenBuckets) -> None:
    buckets.spend("a", 1)
    client.expireat(Key.spent("a"), 1)  # midnight has passed

    assert buckets.spend("a", 1).allowed


# --- the server -------------------------------------------------------------------------------------------


def test_a_full_server_still_counts(client: "redis.Redis", buckets: TokenBuckets) -> None:
    client.config_set("maxmemory", 1)

    assert buckets.take("a", 1e-6, 1).allowed
    assert not buckets.take("a", 1e-6, 1).allowed
    assert buckets.spend("a", 1).allowed
    assert not buckets.spend("a", 1).allowed


def test_without_a_server_it_says_so(valkey: Server, buckets: TokenBuckets) -> None:
    valkey.stop(kill=True)

    with pytest.raises(LedgerUnavailableError):
        buckets.take("a", 1, 1)
    with pytest.raises(LedgerUnavailableError):
        buckets.spend("a", 1)
