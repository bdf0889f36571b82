"""The event stream's grammar, in whatever pieces it arrives."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mediscan
from mediscan.sse import EventReader

STREAM = (
    "\ufeff: hello\n"
    "retry: 1500\n\n"
    'id: 1\nevent: queued\ndata: {"position": 3,\ndata: "estimate_s": 2}\n\n'
    ": heartbeat\n\n"
    'id: 2\nevent: ml.done\nunknown: x\nnocolon\ndata:{"label": "Pösitive"}\n\n'
    "id: 3\n\n"
    'event: completed\ndata: {"state": "completed"}\n\n'
    'id: 4\nevent: late\ndata: {"never": "finished"}\n'
).encode()

EXPECTED = [
    ("1", "queued", {"position": 3, "estimate_s": 2}),
    ("2", "ml.done", {"label": "Pösitive"}),
    ("3", "completed", {"state": "completed"}),
]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@given(cuts=st.lists(st.integers(0, len(STREAM) + 30), max_size=12))
def test_however_it_is_cut_the_same_events_come(newline: bytes, cuts: list[int]) -> None:
    stream = STREAM.replace(b"\n", newline)
    reader = EventReader()
    found = []
    edges = [0, *sorted(cuts), len(stream)]
    for start, end in pairwise(edges):
        found += reader.feed(stream[start:end])
    assert [(event.id, event.type, event.data) for event in found] == EXPECTED
    # Of the last whole event: what was half received is asked for again.
    assert reader.last_id == "3"


def test_only_the_last_event_is_the_last() -> None:
    assert [event.is_last for event in EventReader().feed(STREAM)] == [False, False, True]


@pytest.mark.parametrize("stream", [b"data: nonsense\n\n", b"data: [1]\n\n", b"x" * (1 << 21)])
def test_what_is_not_ours_is_an_error(stream: bytes) -> None:
    with pytest.raises(mediscan.UnexpectedAnswerError):
        EventReader().feed(stream)
