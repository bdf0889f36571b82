"""Where things are written: answers to standard output, what happens meanwhile to standard error.

On a terminal there is a progress bar and some colour; elsewhere plain lines, so that a log reads well.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from pydantic import BaseModel

_BAR_WIDTH = 30


class Meter(Protocol):
    """Shows how far something has come."""

    def show(self, fraction: float, text: str) -> None:
        """fraction: 0 to 1; text: one phrase."""


class _PlainMeter:
    """A line whenever the words change."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, fraction: float, text: str) -> None:
        if text != self._shown:
            say(f"{fraction:4.0%}  {text}")
            self._shown = text


class _Bar:
    """A bar that is redrawn."""

    def __init__(self, label: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            BarColumn(_BAR_WIDTH),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
        )
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self.progress.add_task(label, total=1.0)

    def show(self, fraction: float, text: str) -> None:
        self.progress.update(self._task, completed=fraction, description=text)


@contextmanager
def meter(label: str) -> Iterator[Meter]:
    """A bar on a terminal, which goes when it is done; lines elsewhere."""
    if not sys.stderr.isatty():
        yield _PlainMeter()
        return
    bar = _Bar(label)
    with bar.progress:
        yield bar


def out(text: str) -> None:
    """An answer."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def out_json(answer: BaseModel) -> None:
    """An answer for a program, on one line."""
    sys.stdout.write(f"{answer.model_dump_json()}\n")
    sys.stdout.flush()


def out_event(event_id: str, kind: str, data: dict[str, Any]) -> None:
    """A job's event for a program, on one line."""
    out(json.dumps({"id": event_id, "event": kind, "data": data}))


def say(text: str) -> None:
    """What happens meanwhile."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def colour(text: str, name: str) -> str:
    """`text` in a colour where somebody sees it. Wrap only words of our own: what is inside stays as it is."""
    codes = {"green": 32, "yellow": 33, "red": 31, "bold": 1, "dim": 2}
    return f"\x1b[{codes[name]}m{text}\x1b[0m" if sys.stdout.isatty() else text


def width() -> int:
    """Columns to write in."""
    return max(60, min(100, shutil.get_terminal_size((100, 24)).columns))
