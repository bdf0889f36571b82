import pytest

from shared.errors import LedgerUnavailableError
from shared.healthcheck import REAPER, find_problem
from shared.ledger import Ledger
from shared.names import Key, Stage
from tests.integration.conftest import MakeLedger
from tests.support.valkey import Server


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> Ledger:
    return make_ledger()


def test_a_worker_is_healthy_while_its_own_node_is_heard_of(ledger: Ledger) -> None:
    assert find_problem(ledger, "ml", "here")
    ledger.heartbeat(Stage.ML, "ml@here-7")
    assert find_problem(ledger, "ml", "here") is None


@pytest.mark.parametrize("node", ["ml@there-7", "ml@here2-7"])
def test_another_machine_does_not_speak_for_this_one(ledger: Ledger, node: str) -> None:
    ledger.heartbeat(Stage.ML, node)
    assert find_problem(ledger, "ml", "here")


def test_an_old_heartbeat_is_none(ledger: Ledger, valkey: Server) -> None:
    ledger.heartbeat(Stage.ML, "ml@here-7")
    with valkey.client() as client:
        client.zincrby(Key.workers(Stage.ML), -60, "ml@here-7")
    assert find_problem(ledger, "ml", "here")


def test_the_reaper_has_a_beat_of_its_own(ledger: Ledger) -> None:
    assert find_problem(ledger, REAPER, "here")
    ledger.reaper_beat()
    assert find_problem(ledger, REAPER, "here") is None


def test_nobody_is_healthy_without_a_ledger(ledger: Ledger, valkey: Server) -> None:
    valkey.stop(kill=True)
    with pytest.raises(LedgerUnavailableError):
        find_problem(ledger, "ml", "here")
