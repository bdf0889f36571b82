"""The states of the circuit breaker in front of Gemini and the one table of allowed steps. Pure.

The Gemini workers' Lua scripts are generated from this table; gateways read the state for `/readyz`.
Pattern: Nygard, Release It! (2nd ed., 2018), chapter 5, "Circuit Breaker".
"""

from collections.abc import Mapping

from shared.contracts import Circuit, CircuitState
from shared.job_state import TransitionRefusedError

#: From each state, where one step may lead.
CIRCUIT_TRANSITIONS: Mapping[CircuitState, frozenset[CircuitState]] = {
    CircuitState.CLOSED: frozenset({CircuitState.OPEN}),
    # Not straight to closed: somebody must have asked and been answered.
    CircuitState.OPEN: frozenset({CircuitState.HALF_OPEN}),
    CircuitState.HALF_OPEN: frozenset({CircuitState.CLOSED, CircuitState.OPEN}),
}


def advance_circuit(state: CircuitState, to: CircuitState) -> CircuitState:
    """Return `to` if the table allows to go there from `state`; TransitionRefusedError otherwise."""
    if to not in CIRCUIT_TRANSITIONS[state]:
        raise TransitionRefusedError(f"a circuit does not go from {state} to {to}")
    return to


def parse_circuit(stored: Mapping[str, str], now: float) -> Circuit:
    """Read what the scripts stored, nothing being a closed circuit; `now` in Unix seconds of the same server."""
    state = CircuitState(stored.get("state", CircuitState.CLOSED))
    if state is CircuitState.CLOSED:
        return Circuit(state=state)
    at = "retry_at" if state is CircuitState.OPEN else "probe_until"
    return Circuit(state=state, cause=stored["cause"], retry_in_s=round(max(0.0, float(stored[at]) - now), 3))
