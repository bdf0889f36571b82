"""Plays the outside world to a flow: scripted answers, and a clock that only moves when somebody waits."""

from collections.abc import Iterable
from typing import Any, TypeVar

from mediscan.calls import Call
from mediscan.flows import Emit, Flow, Open, Outcome, Pause, Read, Send, Stream
from mediscan.patience import Patience
from mediscan.replies import NoReply, Reply
from shared.contracts import JobView

T = TypeVar("T")


def problem(status: int, code: str = "some_code", **headers: str) -> Reply:
    """A refusal as the gateway words it."""
    body = f'{{"type": "/problems/{code}", "title": "No", "status": {status}, "detail": "Why.", "code": "{code}"}}'
    return Reply(status, {"content-type": "application/problem+json", **headers}, body.encode())


def shown(view: JobView, **headers: str) -> Reply:
    """A job as the gateway shows it."""
    return Reply(200, {"etag": f'"{view.id}.{view.version}"', **headers}, view.model_dump_json().encode())


class World:
    """Answers each request with the next of `script`; a pair is an answer and the seconds it took."""

    def __init__(self, *script: Any, retry_for_s: float = 60, dice: float = 1.0) -> None:
        self._script = list(script)
        self.now = 1000.0
        self.calls: list[Call] = []
        self.timeouts: list[float] = []
        self.pauses: list[float] = []
        self.patience = Patience(retry_for_s=retry_for_s, clock=lambda: self.now, dice=lambda: dice)

    def run(self, flow: Flow[T]) -> T:
        """To its end."""
        outcome: Outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                assert self._script == [], "not all of the script was played"
                value: T = end.value
                return value
            outcome = self._play(step)

    def iterate(self, stream: Stream[T]) -> Iterable[T]:
        """All that is emitted."""
        outcome: Outcome = None
        while True:
            try:
                step = stream.send(outcome)
            except StopIteration:
                assert self._script == [], "not all of the script was played"
                return
            if isinstance(step, Emit):
                yield step.value
                outcome = None
            else:
                outcome = self._play(step)

    def _play(self, step: Send | Open | Read | Pause) -> Outcome:
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            self.now += step.seconds
            return None
        if not isinstance(step, Read):
            self.calls.append(step.call)
            self.timeouts.append(step.timeout_s)
        assert self._script, f"nobody expected {step}"
        said = self._script.pop(0)
        answer, took_s = said if isinstance(said, tuple) else (said, 0.0)
        self.now += took_s
        assert isinstance(answer, Reply | NoReply | bytes)
        return answer
