"""One test per allowed step, one that every other is refused, and what an operator is shown."""

from itertools import product

import pytest

from shared.circuit_state import advance_circuit, parse_circuit
from shared.contracts import Circuit, CircuitState
from shared.job_state import TransitionRefusedError

#: Written out and not taken from the table: changing what is allowed must be done twice, knowingly.
ALLOWED = {
    (CircuitState.CLOSED, CircuitState.OPEN),
    (CircuitState.OPEN, CircuitState.HALF_OPEN),
    (CircuitState.HALF_OPEN, CircuitState.OPEN),
    (CircuitState.HALF_OPEN, CircuitState.CLOSED),
}


@pytest.mark.parametrize(("state", "to"), sorted(ALLOWED))
def test_a_circuit_may_go(state: CircuitState, to: CircuitState) -> None:
    assert advance_circuit(state, to) is to


@pytest.mark.parametrize(("state", "to"), sorted(set(product(CircuitState, CircuitState)) - ALLOWED))
def test_a_circuit_may_not_go(state: CircuitState, to: CircuitState) -> None:
    with pytest.raises(TransitionRefusedError, match=f"from {state} to {to}"):
        advance_circuit(state, to)


def test_nothing_stored_is_a_closed_circuit() -> None:
    assert parse_circuit({}, 1000) == Circuit(state=CircuitState.CLOSED)


def test_a_closed_circuit_keeps_its_old_troubles_to_itself() -> None:
    stored = {"state": "closed", "cause": "timeout", "retry_at": "1005", "trips": "0"}
    assert parse_circuit(stored, 1000) == Circuit(state=CircuitState.CLOSED)


@pytest.mark.parametrize(("retry_at", "retry_in_s"), [("1007.250000", 7.25), ("999.000000", 0.0)])
def test_an_open_circuit_says_why_and_for_how_long(retry_at: str, retry_in_s: float) -> None:
    found = parse_circuit({"state": "open", "cause": "key_rejected", "retry_at": retry_at}, 1000)
    assert found == Circuit(state=CircuitState.OPEN, cause="key_rejected", retry_in_s=retry_in_s)


def test_a_half_open_circuit_waits_for_its_probe_at_most_as_long_as_the_lease() -> None:
    stored = {"state": "half_open", "cause": "timeout", "retry_at": "990", "probe_until": "1003.5"}
    assert parse_circuit(stored, 1000).retry_in_s == 3.5
