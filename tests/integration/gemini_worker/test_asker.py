"""One reading from upload to outcome, with a real server for the circuit and a real one for Gemini."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.gemini_worker.settings import GeminiWorkerSettings
from services.gemini_worker.tasks import Asker
from shared.contracts import CircuitState, GeminiReading, UnavailableReading, UnavailableReason
from shared.errors import LedgerUnavailableError
from shared.ledger import Ledger
from tests.fake_gemini import Behaviour, FakeGemini, Kind
from tests.integration.conftest import MakeLedger
from tests.support.images import broken_inside, scan
from tests.support.valkey import Server
from tests.support.waiting import wait_until

MakeAsker = Callable[..., Asker]


@pytest.fixture
def make_asker(settings: GeminiWorkerSettings, valkey: Server) -> MakeAsker:
    def make(**changes: float) -> Asker:
        chosen = {**settings.model_dump(), "redis_url": valkey.url, **changes}
        return Asker(GeminiWorkerSettings(**chosen))

    return make


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> Ledger:
    return make_ledger()


def refused(asker: Asker, image: bytes | None = None) -> UnavailableReading:
    reading = asker.ask(image or scan())
    assert isinstance(reading, UnavailableReading)
    return reading


def test_an_image_becomes_a_reading(make_asker: MakeAsker, fake: FakeGemini) -> None:
    reading = make_asker(gemini_requests_per_minute=60, gemini_daily_budget=5).ask(scan())
    assert isinstance(reading, GeminiReading)
    assert len(fake.requests) == 1


def test_a_refused_key_is_asked_with_once(make_asker: MakeAsker, fake: FakeGemini, ledger: Ledger) -> None:
    asker = make_asker()
    fake.behave(Behaviour(Kind.BAD_KEY))
    assert refused(asker).reason is UnavailableReason.KEY_REJECTED
    assert refused(asker).reason is UnavailableReason.CIRCUIT_OPEN
    assert ledger.gemini_circuit().cause == "key_rejected"
    assert len(fake.requests) == 1


def test_what_the_server_wished_ends_in_a_probe_that_closes(
    make_asker: MakeAsker, fake: FakeGemini, ledger: Ledger
) -> None:
    fake.behave(Behaviour(Kind.RATE_LIMITED, retry_delay_s=0.5), Behaviour())
    assert isinstance(make_asker(gemini_attempts=2).ask(scan()), GeminiReading)
    first, second = fake.requests
    assert second.received_at - first.received_at >= 0.5
    assert ledger.gemini_circuit().state is CircuitState.CLOSED
    assert ledger.counters()["gemini_circuit:probes"] == 1


def test_every_attempt_takes_of_the_budget(make_asker: MakeAsker, fake: FakeGemini) -> None:
    asker = make_asker(gemini_attempts=3, gemini_daily_budget=2)
    fake.behave(Behaviour(Kind.OVERLOADED))
    assert refused(asker).reason is UnavailableReason.SERVER_ERROR
    assert refused(asker).reason is UnavailableReason.DAILY_BUDGET_SPENT
    assert len(fake.requests) == 2


@pytest.mark.parametrize(
    ("kind", "image"), [(Kind.SAFETY, scan()), (Kind.PROSE, scan()), (Kind.ANSWER, broken_inside())]
)
def test_no_image_can_open_the_circuit(
    make_asker: MakeAsker, fake: FakeGemini, ledger: Ledger, kind: Kind, image: bytes
) -> None:
    asker = make_asker(gemini_circuit_min_calls=1)
    fake.behave(Behaviour(kind))
    for _ in range(4):
        refused(asker, image)
    assert ledger.gemini_circuit().state is CircuitState.CLOSED


@pytest.mark.parametrize("limits", [{}, {"gemini_requests_per_minute": 60}, {"gemini_daily_budget": 5}])
def test_with_redis_away_nothing_is_sent(
    make_asker: MakeAsker, fake: FakeGemini, valkey: Server, limits: dict[str, float]
) -> None:
    asker = make_asker(**limits)
    valkey.stop()
    with pytest.raises(LedgerUnavailableError):
        asker.ask(scan())
    assert fake.requests == []


def test_an_answer_that_came_while_redis_was_away_is_kept(
    make_asker: MakeAsker, fake: FakeGemini, valkey: Server
) -> None:
    asker = make_asker()
    fake.behave(Behaviour(delay_s=0.5))
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(asker.ask, scan())
        wait_until(lambda: fake.requests, what="Gemini was asked")
        valkey.stop()
        assert isinstance(reading.result(30), GeminiReading)
