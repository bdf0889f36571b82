"""The house on a screen: pure, from a ClusterView to what rich draws. What needs a look is coloured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mediscan.cli import words
from mediscan.wire import contracts

_BAR = 24
_CURVE = " ▁▂▃▄▅▆▇█"
#: The first in line has waited for so long: worth a look, and bad.
_SLOW_S, _BAD_S = 30.0, 120.0
#: Parts of the ledger's memory: the cache grows short, and from the second on no job is taken.
_FILLING, _FULL = 0.5, 0.8
_MINUTE_S, _HOUR_S, _KILO = 60, 3600, 1000
_APART = frozenset({contracts.DriftLevel.MODERATE, contracts.DriftLevel.STRONG})
_ALARM, _WARN, _GOOD, _DIM, _HEAD = "bold red", "yellow", "green", "dim", "bold"


def house(
    view: contracts.ClusterView, *, rates: Sequence[float], where: str = "", problem: str = ""
) -> RenderableType:
    """rates: jobs ended a second at the looks so far, the newest last. problem: why this is not as of now."""
    blank = Text()
    parts: list[RenderableType] = [
        _title(view, where, problem),
        _pace(view, rates),
        blank,
        _queues(view),
        blank,
        _workers(view),
        blank,
    ]
    return Group(*parts, _facts(view))


def _title(view: contracts.ClusterView, where: str, problem: str) -> Text:
    text = Text.assemble(
        ("MediScan ", _HEAD), f"{words.clean(where)}  ".lstrip(), (f"{view.at:%H:%M:%S} UTC", _DIM)
    )
    if problem:
        text.append(f"  {words.clean(problem)}", _ALARM)
    return text


def _pace(view: contracts.ClusterView, rates: Sequence[float]) -> Text:
    text = Text.assemble(
        (f"{view.live_jobs:,}", _HEAD),
        " unfinished   ",
        (f"{view.ended_last_minute:,}", _HEAD),
        f" ended in the last minute ({view.ended_last_minute / 60:.1f}/s)   ",
    )
    return text.append(curve(rates), _GOOD)


def curve(rates: Sequence[float]) -> str:
    """A line of blocks, the highest being the largest."""
    most = max(rates, default=0)
    return "".join(_CURVE[round(rate / most * (len(_CURVE) - 1)) if most else 0] for rate in rates)


def _queues(view: contracts.ClusterView) -> Table:
    table = _table("queue", "priority", ">waiting", ">oldest", ">held", ">longest", "")
    most = max((queue.waiting for queue in view.queues), default=0)
    for queue in view.queues:
        is_idle = not (queue.waiting or queue.claimed)
        table.add_row(
            queue.stage,
            queue.priority,
            f"{queue.waiting:,}",
            Text(age(queue.oldest_waiting_s), _of_age(queue.oldest_waiting_s)),
            f"{queue.claimed:,}",
            age(queue.oldest_claimed_s),
            Text("█" * (-(-queue.waiting * _BAR // most) if most else 0), "cyan"),
            style=_DIM if is_idle else "",
        )
    return table


def _workers(view: contracts.ClusterView) -> Table:
    table = _table("workers", ">nodes", ">slots", ">messages")
    for stage, workers in view.workers.items():
        messages = "?" if view.messages is None else f"{view.messages.get(stage, 0):,}"
        table.add_row(
            stage, Text(str(workers.nodes), "" if workers.nodes else _WARN), str(workers.slots), messages
        )
    return table


def _facts(view: contracts.ClusterView) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for name, said in _told(view):
        table.add_row(Text(name, _DIM), said)
    return table


def _told(view: contracts.ClusterView) -> Iterator[tuple[str, Text]]:
    yield "ended", Text(counts(view.ended))
    yield "ML only", Text(counts(view.fallbacks))
    repairs = {
        "rescued": view.rescued,
        "republished": view.republished,
        "late": view.late,
        "put off": view.put_off,
    }
    done = [
        f"{what} {stage} {count:,}" for what, by in repairs.items() for stage, count in by.items() if count
    ]
    yield "repairs", Text(" · ".join(done) or "none")
    yield "given up", _given_up(view)
    yield "reaper", Text("alive", _GOOD) if view.reaper_alive else Text("not heard of", _ALARM)
    yield "Gemini", _circuit(view.gemini_circuit)
    yield "ledger", _memory(view.ledger_memory)
    yield "blobs", _blobs(view.blobs)
    models = [f"{words.clean(model.id)}{' (default)' if model.is_default else ''}" for model in view.models]
    if view.drift:
        yield "drift", _drift(view)
    yield "models", Text(", ".join(models)) if models else Text("none is offered", _ALARM)


def _given_up(view: contracts.ClusterView) -> Text:
    if view.dead_letters:
        return Text(f"{view.dead_letters:,} dead letters: `mediscan dead list`", _WARN)
    return Text("none")


def _drift(view: contracts.ClusterView) -> Text:
    apart = [
        f"{words.clean(one.model)}: {words.plain(measure.name)} {measure.observed:.2f}, card {measure.expected:.2f}"
        for one in view.drift
        for measure in one.measures
        if measure.level in _APART and measure.observed is not None and measure.expected is not None
    ]
    return Text("; ".join(apart), _ALARM) if apart else Text("none")


def _circuit(circuit: contracts.Circuit) -> Text:
    if circuit.state is contracts.CircuitState.CLOSED:
        return Text("circuit closed", _GOOD)
    cause = words.plain(circuit.cause or "")
    return Text(
        f"circuit {words.plain(circuit.state)} ({cause}), asked again in {age(circuit.retry_in_s)}", _ALARM
    )


def _memory(memory: contracts.MemoryView) -> Text:
    used = size(memory.used_bytes)
    if memory.limit_bytes is None:
        return Text(f"{used}, no limit")
    part = memory.used_bytes / memory.limit_bytes
    style = _ALARM if part > _FULL else _WARN if part > _FILLING else ""
    return Text(f"{used} of {size(memory.limit_bytes)} ({part:.0%})", style)


def _blobs(blobs: contracts.BlobsView) -> Text:
    if blobs.state == "away":
        return Text("away", _ALARM)
    return Text("no limit" if blobs.free_bytes is None else f"{size(blobs.free_bytes)} free")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style=_DIM, padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    return table


def counts(found: Mapping[Any, int]) -> str:
    """`completed 7 · failed 1`, without what never was."""
    return " · ".join(f"{words.plain(name)} {count:,}" for name, count in found.items() if count) or "none"


def age(seconds: float | None) -> str:
    """In the largest unit that fits."""
    if seconds is None:
        return "-"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    return f"{seconds / _MINUTE_S:.0f} min" if seconds < _HOUR_S else f"{seconds / _HOUR_S:.1f} h"


def _of_age(seconds: float | None) -> str:
    if seconds is None or seconds < _SLOW_S:
        return ""
    return _WARN if seconds < _BAD_S else _ALARM


def size(count: float) -> str:
    """Bytes as people write them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < _KILO:
            return f"{count:.1f} {unit}".replace(".0 B", " B")
        count /= _KILO
    return f"{count:.1f} TB"
