"""The house on a screen: what needs a look is said, and nothing in it is obeyed by a terminal."""

from typing import Any

import pytest
from rich.console import Console

from mediscan.cli.house import age, counts, curve, house, size
from mediscan.wire import contracts
from tests.support.samples import cluster_view, drift_measure, model_drift


def drawn(view: contracts.ClusterView, **more: Any) -> str:
    console = Console(width=100, record=True, highlight=False, file=None)
    with console.capture() as captured:
        console.print(house(view, rates=(), **more))
    return captured.get()


def test_queues_workers_and_pace_are_there() -> None:
    text = drawn(cluster_view(), where="http://here")
    for part in (
        "http://here",
        "1,600 unfinished",
        "312 ended in the last minute (5.2/s)",
        "1,180",
        "2 min",
        "410",
    ):
        assert part in text
    assert "not configured 120 · timeout 3" in text
    assert "brain-mri-mobilenetv2/0.4.0 (default)" in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reaper_alive": False}, "not heard of"),
        ({"dead_letters": 3}, "3 dead letters"),
        ({"models": ()}, "none is offered"),
        ({"messages": None}, "?"),
        ({"blobs": {"state": "away", "free_bytes": None}}, "away"),
        (
            {"gemini_circuit": {"state": "open", "cause": "server_error", "retry_in_s": 12.5}},
            "open (server error)",
        ),
        ({"rescued": {"ml": 2}}, "rescued ml 2"),
        (
            {"drift": (model_drift(measures=[drift_measure(observed=0.95, level="strong")]),)},
            "positive rate 0.95, card 0.59",
        ),
    ],
)
def test_what_needs_a_look_is_said(changed: dict[str, Any], said: str) -> None:
    assert said not in drawn(cluster_view())
    assert said in drawn(cluster_view(**changed))


def test_a_house_that_does_not_answer_is_shown_as_it_was() -> None:
    text = drawn(cluster_view(), problem="no answer\x1b[2J")
    assert "no answer" in text
    assert "\x1b[2J" not in text
    assert "1,600 unfinished" in text


def test_numbers_for_people() -> None:
    assert [age(seconds) for seconds in (None, 0.42, 59, 138, 7200)] == [
        "-",
        "0.4 s",
        "59.0 s",
        "2 min",
        "2.0 h",
    ]
    assert [size(count) for count in (0, 999, 3_100_000, 81e9, 2e12)] == [
        "0 B",
        "999 B",
        "3.1 MB",
        "81.0 GB",
        "2.0 TB",
    ]
    assert counts({"not_configured": 1200, "busy": 0}) == "not configured 1,200"
    assert counts({}) == "none"
    assert curve(()) == ""
    assert curve((0, 0)) == "  "
    assert curve((0, 1, 2)) == " ▄█"
