"""What the client does, step by step, without doing it: generators that ask for I/O and are told how it went.

`client.py` and `aio.py` carry the steps out, blocking and not; the order of things, what is tried again and when
it is given up stand here once.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import count
from math import inf
from typing import Generic, TypeVar

from pydantic import BaseModel

from mediscan import calls, replies
from mediscan.calls import Call, Filter
from mediscan.errors import (
    MediScanError,
    NotFoundError,
    UnexpectedAnswerError,
    UnreachableError,
    WaitTimeoutError,
)
from mediscan.patience import Patience, asked_pause, may_repeat
from mediscan.replies import NOT_MODIFIED, NoReply, Reply
from mediscan.sse import Event, EventReader
from mediscan.wire import contracts

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

#: How long one long-poll is asked to last; a server allows 60, some proxies not much over 30.
LONG_POLL_S = 25
#: A job that takes longer than this is not worth waiting for blindly: a server lets one live for 900 s by default.
WAIT_S = 960.0
#: A stream that says nothing for this long, not even a heartbeat, is dead.
SILENCE_S = 60.0

#: How long past its own end a wait may take, for the last answer to arrive.
_MARGIN_S = 5.0
#: A stream that lasted this long was one, and not a proxy that cuts it.
_HEALTHY_S = 5.0


@dataclass(frozen=True)
class Send:
    """Send `call`; answered with a Reply or NoReply."""

    call: Call
    timeout_s: float


@dataclass(frozen=True)
class Open:
    """Send `call` and leave the answer open if it is an event stream; answered as `Send`."""

    call: Call
    timeout_s: float


@dataclass(frozen=True)
class Read:
    """The next bytes of what `Open` opened; answered with them, empty where it has ended or was cut."""


@dataclass(frozen=True)
class Pause:
    """Do nothing for a while; answered with None."""

    seconds: float


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Hand `value` to whoever iterates; answered with None."""

    value: T


Outcome = Reply | NoReply | bytes | None
#: Runs to its end and returns a T.
Flow = Generator[Send | Pause, Outcome, T]
#: Emits Ts on the way.
Stream = Generator[Send | Open | Read | Pause | Emit[T], Outcome, None]


def send(call: Call, patience: Patience, *, limit_s: float = inf) -> Flow[Reply]:
    """Send until there is a good answer; the last error where there is none within `limit_s`."""
    give_up_at = patience.give_up_at(call, limit_s)
    for attempt in count():
        outcome = yield Send(call, patience.attempt_for(call, give_up_at))
        assert isinstance(outcome, Reply | NoReply)  # noqa: S101 - what `Send` is answered with
        error = replies.error(outcome)
        if error is None and isinstance(outcome, Reply):
            return outcome
        if _deleted_by_an_earlier_attempt(call, error, attempt):
            break
        pause = patience.pause(attempt, asked_pause(outcome))
        if error and (not may_repeat(call, outcome) or patience.clock() + pause >= give_up_at):
            raise error
        yield Pause(pause)
    return Reply(204, {})


def _deleted_by_an_earlier_attempt(call: Call, error: Exception | None, attempt: int) -> bool:
    return call.method == "DELETE" and attempt > 0 and isinstance(error, NotFoundError)


def fetch(call: Call, model: type[M], patience: Patience) -> Flow[M]:
    """Send, and read the answer as `model`."""
    return replies.parse((yield from send(call, patience)), model)


def readiness(patience: Patience) -> Flow[contracts.Readiness | contracts.ReadyStatus]:
    """What `/readyz` says; its 503 is an answer here, not a failure."""
    outcome = yield Send(calls.readiness(), patience.attempt_s)
    assert isinstance(outcome, Reply | NoReply)  # noqa: S101 - what `Send` is answered with
    error = replies.error(outcome)
    if isinstance(outcome, Reply) and (error is None or outcome.status == 503):  # noqa: PLR2004
        return replies.readiness(outcome)
    raise error or UnexpectedAnswerError("No answer at all.")


def pages(options: Filter, page_size: int, patience: Patience) -> Stream[contracts.JobView]:
    """Every job of a list, page after page as they are asked for."""

    def ask(cursor: str | None) -> Call:
        return calls.jobs(options, limit=page_size, cursor=cursor)

    return _pages(ask, replies.job_page, patience)


def dead_letters(page_size: int, patience: Patience) -> Stream[contracts.DeadLetter]:
    """Every job that was given up, page after page as they are asked for."""

    def ask(cursor: str | None) -> Call:
        return calls.dead_letters(limit=page_size, cursor=cursor)

    return _pages(ask, replies.dead_letter_page, patience)


def _pages(
    ask: Callable[[str | None], Call], read: Callable[[Reply], replies.Page[T]], patience: Patience
) -> Stream[T]:
    cursor: str | None = None
    while True:
        items, cursor = read((yield from send(ask(cursor), patience)))
        for item in items:
            yield Emit(item)
        if cursor is None:
            return


@dataclass(frozen=True)
class Awaited(Generic[M]):
    """Something that is asked about until it is over."""

    #: seconds to wait, ETag of what is known -> the request.
    ask: Callable[[float, str | None], Call]
    model: type[M]
    is_over: Callable[[M], bool]
    what: str


def job(job_id: str) -> Awaited[contracts.JobView]:
    """A job, to be waited for."""

    def ask(wait_s: float, known: str | None) -> Call:
        return calls.read(job_id, wait_s=wait_s, known=known)

    return Awaited(ask, contracts.JobView, replies.is_over, job_id)


def batch(batch_id: str) -> Awaited[contracts.BatchView]:
    """A batch, to be waited for."""

    def ask(wait_s: float, known: str | None) -> Call:
        return calls.read_batch(batch_id, wait_s=wait_s, known=known)

    return Awaited(ask, contracts.BatchView, _batch_is_over, batch_id)


def _batch_is_over(view: contracts.BatchView) -> bool:
    return view.state is not contracts.BatchState.RUNNING


def until_over(awaited: Awaited[M], timeout_s: float, patience: Patience) -> Flow[M]:
    """How it ended; WaitTimeoutError where it is not over after `timeout_s`."""
    wait = _Wait(timeout_s, patience)
    while True:
        reply = yield from wait.look(awaited.ask(wait.long_poll_s(), None))
        view = replies.parse(reply, awaited.model)
        if awaited.is_over(view):
            return view
        yield Pause(wait.pause(awaited.what, view, is_news=False))


def changes(awaited: Awaited[M], timeout_s: float, patience: Patience) -> Stream[M]:
    """How it stands now and after each change, until it is over; WaitTimeoutError after `timeout_s`."""
    wait = _Wait(timeout_s, patience)
    known: str | None = None
    seen: M | None = None
    while True:
        reply = yield from wait.look(awaited.ask(wait.long_poll_s() if known else 0, known))
        is_news = reply.status != NOT_MODIFIED
        if is_news:
            view = replies.parse(reply, awaited.model)
            is_news, seen, known = view != seen, view, reply.headers.get("etag")
            if is_news:
                yield Emit(view)
            if awaited.is_over(view):
                return
        yield Pause(wait.pause(awaited.what, seen, is_news=is_news))


class _Wait:
    """One wait for the end of something: how long each look may take, and the pause before the next.

    A server that holds its answers back sets the pace itself. One that does not, or cannot any more, must not be
    asked without end.
    """

    def __init__(self, timeout_s: float, patience: Patience) -> None:
        self._timeout_s = timeout_s
        self._patience = patience
        self._until = patience.clock() + timeout_s
        self._looks_in_vain = 0
        self._was_held = False
        self._reply = Reply(NOT_MODIFIED, {})

    def long_poll_s(self) -> float:
        return max(0.0, min(LONG_POLL_S, self._until - self._patience.clock()))

    def look(self, call: Call) -> Flow[Reply]:
        began = self._patience.clock()
        limit_s = max(0.0, self._until - began) + _MARGIN_S
        self._reply = yield from send(call, self._patience, limit_s=limit_s)
        self._was_held = self._patience.clock() - began >= call.wait_s / 2
        return self._reply

    def pause(self, what: str, last_seen: object, *, is_news: bool) -> float:
        left_s = self._until - self._patience.clock()
        if left_s <= 0:
            said = f"{what} is not over after {self._timeout_s:g} s; it goes on."
            raise WaitTimeoutError(said, last_seen=last_seen)
        if self._was_held or (is_news and "preference-applied" in self._reply.headers):
            self._looks_in_vain = 0
            return 0
        asked_s = asked_pause(self._reply)
        pause_s = self._patience.pause(self._looks_in_vain) if asked_s is None else asked_s
        self._looks_in_vain += 1
        return min(pause_s, left_s)


def events(job_id: str, after: str, patience: Patience) -> Stream[Event]:
    """Every event of a job after the one with the id `after`, each once, over as many connections as it takes.

    UnreachableError where connections keep ending at once for as long as any call is tried.
    """
    last_id, failures, give_up_at = after, 0, patience.clock() + patience.retry_for_s
    while True:
        call, opened_at = calls.events(job_id, after=last_id), patience.clock()
        opened = yield Open(call, patience.attempt_s)
        assert isinstance(opened, Reply | NoReply)  # noqa: S101 - what `Open` is answered with
        reader = EventReader(last_id)
        error = _stream_error(opened)
        if _is_all_told(opened) or (error is None and (yield from _until_cut(reader))):
            return
        if error and not may_repeat(call, opened):
            raise error
        if reader.last_id != last_id or (error is None and patience.clock() - opened_at > _HEALTHY_S):
            last_id, failures, give_up_at = reader.last_id, 0, patience.clock() + patience.retry_for_s
        pause_s = patience.pause(failures, asked_pause(opened))
        if patience.clock() + pause_s >= give_up_at:
            raise error or UnreachableError("The event stream keeps ending before the job does.")
        yield Pause(pause_s)
        failures += 1


def _until_cut(reader: EventReader) -> Generator[Read | Emit[Event], Outcome, bool]:
    """Emit what comes; whether the last event was among it."""
    while isinstance(piece := (yield Read()), bytes) and piece:
        for event in reader.feed(piece):
            yield Emit(event)
            if event.is_last:
                return True
    return False


def _is_all_told(opened: Reply | NoReply) -> bool:
    return isinstance(opened, Reply) and opened.status == 204  # noqa: PLR2004


def _stream_error(opened: Reply | NoReply) -> MediScanError | None:
    if error := replies.error(opened):
        return error
    is_stream = isinstance(opened, Reply) and is_event_stream(opened)
    return None if is_stream else UnexpectedAnswerError("There is no event stream at this address.")


def is_event_stream(reply: Reply) -> bool:
    """Whether this is the head of an event stream."""
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    return reply.status == 200 and kind == "text/event-stream"  # noqa: PLR2004
