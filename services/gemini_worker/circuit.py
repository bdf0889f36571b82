"""The circuit breaker that all Gemini workers share: whether Gemini is asked, and what each call teaches.

States and steps are in `shared/circuit_state.py`; both scripts are atomic in Redis and use its clock. With Redis
away nobody asks: nobody could count it, and the answer could not be stored either.
"""

import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import cast

import redis

from services.gemini_worker.failure import NotSentError, ReadingFailedError
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.circuit_state import CIRCUIT_TRANSITIONS
from shared.contracts import UnavailableReason
from shared.errors import LedgerUnavailableError
from shared.ledger.scripts import lua_table
from shared.names import Key
from shared.redis_errors import converted

log = logging.getLogger(__name__)

_SCRIPTS = ("admit", "record")
#: How long a probe's lease outlasts the reading it belongs to.
_PROBE_SLACK_S = 5
#: A server's wish to be left alone for longer than this is not believed.
_LONGEST_WISH_S = 3600.0


class Outcome(StrEnum):
    """What one call says about Gemini's health; the words of `record.lua`."""

    #: It answered, if only to decline: what depends on one image is no outage.
    ANSWERED = "answered"
    #: Counted; enough of them open the circuit.
    FAILED = "failed"
    #: Opens the circuit at once: the next call would fail in the same way.
    TRIPPED = "tripped"
    #: There was no call.
    UNSENT = "unsent"


_FAILURES = frozenset(
    {
        UnavailableReason.TIMEOUT,
        UnavailableReason.SERVER_ERROR,
        UnavailableReason.CONNECTION,
        UnavailableReason.RATE_LIMITED,
        # Not JSON, or not the API's: a proxy's page. What the model wrote is checked later, and is no outage.
        UnavailableReason.INVALID_RESPONSE,
    }
)


def outcome_of(failure: ReadingFailedError | None) -> Outcome:
    """Judge one call by how it failed; None: it did not."""
    if failure is None:
        return Outcome.ANSWERED
    if isinstance(failure, NotSentError):
        return Outcome.UNSENT
    told_to_wait = failure.reason is UnavailableReason.RATE_LIMITED and failure.retry_after_s
    if told_to_wait or failure.reason is UnavailableReason.KEY_REJECTED:
        return Outcome.TRIPPED
    return Outcome.FAILED if failure.reason in _FAILURES else Outcome.ANSWERED


@dataclass(frozen=True)
class Admission:
    """Leave to make one call. The token fences off a probe that was given up on."""

    token: str
    #: Of the circuit's state; a call that began in an earlier one is not counted.
    generation: str


class CircuitBreaker:
    """One process's handle on the shared breaker; may be used from several threads at once."""

    def __init__(
        self,
        client: "redis.Redis",
        settings: GeminiWorkerSettings,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._jitter = jitter
        self._scripts = {name: client.register_script(_script(name, settings)) for name in _SCRIPTS}

    def admit(self) -> Admission:
        """Leave to call Gemini once; `record` what came of it. NotSentError (CIRCUIT_OPEN) when there is none.

        LedgerUnavailableError when Redis is away.
        """
        token = secrets.token_hex(8)
        allowed, *rest = cast(list[str], self._run("admit", token))
        if allowed == "1":
            return Admission(token, rest[0])
        cause, wait_s = rest
        raise NotSentError(UnavailableReason.CIRCUIT_OPEN, _refusal(cause, float(wait_s)), float(wait_s))

    def record(self, admission: Admission, failure: ReadingFailedError | None) -> None:
        """Count what came of a call. Never fails: an answer in hand is worth more than the statistics."""
        outcome = outcome_of(failure)
        cause = failure.reason if failure else ""
        wish_s = min(failure.retry_after_s or 0 if failure else 0, _LONGEST_WISH_S)
        try:
            self._run(
                "record",
                admission.token,
                admission.generation,
                outcome,
                cause,
                f"{wish_s:.6f}",
                f"{self._jitter():.6f}",
            )
        except LedgerUnavailableError:
            log.warning("the outcome of a call to Gemini was not counted: the ledger is away")

    def _run(self, script: str, *args: str) -> object:
        keys = [Key.GEMINI_CIRCUIT, Key.GEMINI_CIRCUIT_WINDOW, Key.COUNTERS]
        with converted():
            return self._scripts[script](keys=keys, args=list(args))


def _refusal(cause: str, wait_s: float) -> str:
    if cause == UnavailableReason.KEY_REJECTED:
        return "Gemini refused the key, so it is not asked for now."
    return (
        f"Gemini has been failing ({cause.replace('_', ' ')}), so it is not asked for another {wait_s:.0f} s."
    )


def _script(name: str, settings: GeminiWorkerSettings) -> str:
    tables = f"local CIRCUIT = {lua_table(CIRCUIT_TRANSITIONS)}"
    return "\n".join((tables, _knobs(settings), _read("prelude"), _read(name)))


def _knobs(settings: GeminiWorkerSettings) -> str:
    values = {
        "window_s": settings.gemini_circuit_window_s,
        "min_calls": settings.gemini_circuit_min_calls,
        "failure_ratio": settings.gemini_circuit_failure_ratio,
        "cooldown_s": settings.gemini_circuit_cooldown_s,
        "max_cooldown_s": settings.gemini_circuit_max_cooldown_s,
        "probe_lease_s": settings.gemini_timeout_s + _PROBE_SLACK_S,
    }
    return f"local KNOB = {{{', '.join(f'{name} = {value}' for name, value in values.items())}}}"


@cache
def _read(name: str) -> str:
    return files("services.gemini_worker").joinpath("lua", f"{name}.lua").read_text()
