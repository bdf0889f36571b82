"""The rate and the daily budget on a real server: shared by all, never overspent, never waited for in vain."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.gemini_worker.failure import NotSentError
from services.gemini_worker.limit import RequestLimit
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import UnavailableReason
from shared.errors import LedgerUnavailableError
from shared.ledger.connection import connect
from shared.names import Key
from shared.settings import Settings
from shared.token_bucket import TokenBuckets
from tests.support.valkey import Server
from tests.support.waiting import wait_until

MakeLimit = Callable[..., RequestLimit]


@pytest.fixture
def make_limit(valkey: Server) -> Iterator[MakeLimit]:
    client = connect(Settings(redis_url=valkey.url), patience_s=0.2)

    def make(sleep: Callable[[float], None] = time.sleep, **settings: int) -> RequestLimit:
        chosen = GeminiWorkerSettings(**settings)  # type: ignore[arg-type]
        return RequestLimit(TokenBuckets(client), chosen, sleep=sleep)

    yield make
    client.close()


def refused(limit: RequestLimit, *, patience_s: float = 0) -> NotSentError:
    with pytest.raises(NotSentError) as caught:
        limit.take(patience_s=patience_s)
    return caught.value


def test_without_limits_nothing_is_counted(make_limit: MakeLimit, valkey: Server) -> None:
    limit = make_limit()
    for _ in range(50):
        limit.take(patience_s=0)
    with valkey.client() as client:
        assert client.dbsize() == 0


def test_a_rate_is_one_at_a_time(make_limit: MakeLimit) -> None:
    limit = make_limit(gemini_requests_per_minute=1)
    limit.take(patience_s=0)
    refusal = refused(limit)
    assert refusal.reason is UnavailableReason.RATE_LIMITED
    assert refusal.retry_after_s is not None
    assert 30 < refusal.retry_after_s <= 60


def test_two_workers_share_the_rate(make_limit: MakeLimit) -> None:
    one, other = (make_limit(gemini_requests_per_minute=1) for _ in range(2))
    one.take(patience_s=0)
    assert refused(other).reason is UnavailableReason.RATE_LIMITED


def test_a_token_that_comes_in_time_is_waited_for(make_limit: MakeLimit) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    limit = make_limit(sleep, gemini_requests_per_minute=600)
    for _ in range(4):
        limit.take(patience_s=60)
    assert slept
    assert max(slept) <= 0.1


def test_a_token_that_does_not_come_in_time_is_not_waited_for_at_all(make_limit: MakeLimit) -> None:
    def sleep(_: float) -> None:
        pytest.fail("waited without hope")

    limit = make_limit(sleep, gemini_requests_per_minute=6)
    limit.take(patience_s=0)
    assert refused(limit, patience_s=5).reason is UnavailableReason.RATE_LIMITED


def test_who_is_behind_others_of_its_worker_does_not_hope_for_their_token(
    make_limit: MakeLimit, valkey: Server
) -> None:
    waiting, token_comes = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        waiting.set()
        token_comes.wait(10)
        with valkey.client() as client:
            client.delete(Key.bucket("gemini"))

    limit = make_limit(sleep, gemini_requests_per_minute=6)
    limit.take(patience_s=0)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(limit.take, patience_s=15)
        wait_until(waiting.is_set, what="the first waits")
        refusal = refused(limit, patience_s=15)
        token_comes.set()
        first.result(60)
    assert refusal.retry_after_s is not None
    assert refusal.retry_after_s > 15


def test_a_rate_holds_over_many_workers(make_limit: MakeLimit) -> None:
    limits = [make_limit(gemini_requests_per_minute=1200) for _ in range(4)]
    began = time.monotonic()

    def taken(turn: int) -> bool:
        try:
            limits[turn % 4].take(patience_s=0.3)
        except NotSentError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        passed = sum(pool.map(taken, range(60)))
    assert 1 <= passed <= 1 + 20 * (time.monotonic() - began)


def test_the_daily_budget_is_spent_once(make_limit: MakeLimit) -> None:
    limits = [make_limit(gemini_daily_budget=20) for _ in range(4)]

    def spent(turn: int) -> bool:
        try:
            limits[turn % 4].take(patience_s=0)
        except NotSentError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(spent, range(60))) == 20
    assert refused(limits[0]).reason is UnavailableReason.DAILY_BUDGET_SPENT


def test_the_next_day_has_a_budget_of_its_own(make_limit: MakeLimit, valkey: Server) -> None:
    limit = make_limit(gemini_daily_budget=1)
    limit.take(patience_s=0)
    refused(limit)
    with valkey.client() as client:
        assert 0 < client.ttl(Key.spent("gemini")) <= 86_400
        client.delete(Key.spent("gemini"))  # as its expiry at midnight does
    limit.take(patience_s=0)


def test_what_the_rate_refuses_is_not_taken_from_the_budget(make_limit: MakeLimit, valkey: Server) -> None:
    limit = make_limit(gemini_requests_per_minute=1, gemini_daily_budget=5)
    limit.take(patience_s=0)
    refused(limit)
    with valkey.client() as client:
        assert client.get(Key.spent("gemini")) == "1"


@pytest.mark.parametrize("setting", ["gemini_requests_per_minute", "gemini_daily_budget"])
def test_with_redis_away_nothing_goes_out(make_limit: MakeLimit, valkey: Server, setting: str) -> None:
    limit = make_limit(**{setting: 10})
    valkey.stop()
    with pytest.raises(LedgerUnavailableError):
        limit.take(patience_s=10)
