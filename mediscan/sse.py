"""Server-sent events, read from bytes as they come (WHATWG HTML, 9.2.6). No I/O."""

import json
from dataclasses import dataclass
from typing import Any

from mediscan.errors import UnexpectedAnswerError
from mediscan.wire import job_state

#: The events after which nothing comes.
LAST = frozenset(state.value for state in job_state.TERMINAL)

_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Event:
    """One step of a job."""

    #: Opaque; a stream asked for with it begins after this event.
    id: str
    #: `queued`, `ml.started`, … `completed`: docs/client.md lists them.
    type: str
    data: dict[str, Any]

    @property
    def is_last(self) -> bool:
        """Whether the job is over with it."""
        return self.type in LAST


class EventReader:
    """Feed it what arrives; it gives the events that are whole by then."""

    def __init__(self, last_id: str = "") -> None:
        self._rest = b""
        self._after_cr = False
        self._type = ""
        self._data: list[str] = []
        #: Of the last event that was whole: where to go on after a cut.
        self.last_id = last_id
        self._id = last_id
        #: How long the server asks us to wait before connecting again, in seconds.
        self.retry_s: float | None = None

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes; UnexpectedAnswerError where they are not ours."""
        found = [self._line(line) for line in self._lines(data)]
        return [event for event in found if event]

    def _lines(self, data: bytes) -> list[str]:
        # A line ends with CR, LF or both; the LF of a pair may come with the next piece.
        if not data:
            return []
        ends_in_cr = data.endswith(b"\r")
        data = data.removeprefix(b"\n") if self._after_cr else data
        self._after_cr = ends_in_cr
        text = (self._rest + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = text.split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise UnexpectedAnswerError("A line of the event stream does not end.")
        return [line.decode(errors="replace") for line in lines]

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.removeprefix("\ufeff").partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isdecimal():
            self.retry_s = int(value) / 1000

    def _dispatch(self) -> Event | None:
        data, kind = self._data, self._type
        self._data, self._type = [], ""
        self.last_id = self._id
        return Event(self._id, kind or "message", _json("\n".join(data))) if data else None


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as invalid:
        raise UnexpectedAnswerError("An event of the stream is not JSON.") from invalid
    if not isinstance(found, dict):
        raise UnexpectedAnswerError("An event of the stream is not a JSON object.")
    return found
