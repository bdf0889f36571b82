"""Integration tests run against a real Valkey that they start themselves, flushed before each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from shared.ledger import Ledger
from shared.settings import Settings
from tests.support.jobs import Jobs
from tests.support.valkey import Server


class MakeLedger(Protocol):
    """Opens a ledger on the test's server; closed when the test ends."""

    def __call__(self, *, patience_s: float = ..., **settings: float) -> Ledger: ...


@pytest.fixture(scope="session")
def _valkey_process() -> Iterator[Server]:
    server = Server()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def valkey(_valkey_process: Server) -> Server:
    """An empty, running server with every write fsynced; the test may kill and restart it."""
    _valkey_process.reset()
    return _valkey_process


@pytest.fixture
def make_ledger(valkey: Server) -> Iterator[MakeLedger]:
    """Make ledgers with settings of the test's choice; nothing is taken from the environment."""
    with ExitStack() as opened:

        def make(*, patience_s: float = 0.2, **settings: float) -> Ledger:
            chosen = Settings(redis_url=valkey.url, **settings)  # type: ignore[arg-type]
            ledger = Ledger.open(chosen, patience_s=patience_s)
            opened.callback(ledger.close)
            return ledger

        yield make


@pytest.fixture
def make_jobs(valkey: Server, make_ledger: MakeLedger) -> Iterator[Callable[..., Jobs]]:
    """`Jobs` over a ledger with settings of the test's choice."""
    with valkey.client() as client:
        yield lambda **settings: Jobs(make_ledger(**settings), client)


@pytest.fixture
def jobs(make_jobs: Callable[..., Jobs]) -> Jobs:
    """`Jobs` with the default settings."""
    return make_jobs()
