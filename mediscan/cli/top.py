"""`top`: the house, live on a terminal; elsewhere, and with `--once`, one look as plain lines."""

import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Annotated

import typer

from mediscan.cli import console
from mediscan.cli.connect import AsJson, Options, connect
from mediscan.errors import MediScanError, UnavailableError, UnreachableError
from mediscan.wire import contracts

if TYPE_CHECKING:
    from mediscan import Client

#: Looks that the curve of the throughput goes back.
_REMEMBERED = 40


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(top)


def top(
    ctx: typer.Context,
    every: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Pause between two looks.")] = 2,
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Queues, workers, throughput and fallbacks of the house, live. Needs a key with the scope admin."""
    with connect(ctx) as client:
        if as_json:
            _print_json(client, every, once=once)
        elif once or not sys.stdout.isatty():
            _print_once(client.cluster())
        else:
            _live(client, every, ctx.ensure_object(Options).url or "")


def _print_json(client: "Client", every: float, *, once: bool) -> None:
    console.out_json(client.cluster())
    while not once:
        time.sleep(every)
        console.out_json(client.cluster())


def _print_once(view: contracts.ClusterView) -> None:
    from rich.console import Console

    from mediscan.cli.house import house

    Console(width=console.width(), highlight=False).print(house(view, rates=()))


def _live(client: "Client", every: float, where: str) -> None:
    from rich.console import Console
    from rich.live import Live

    from mediscan.cli.house import house

    view, rates = client.cluster(), deque[float](maxlen=_REMEMBERED)
    with Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live:
        problem = ""
        try:
            while True:
                live.update(house(view, rates=tuple(rates), where=where, problem=problem), refresh=True)
                time.sleep(every)
                before = view
                try:
                    view, problem = client.cluster(), ""
                except (UnreachableError, UnavailableError) as error:
                    problem = _said(error)
                else:
                    rates.append(_rate(before, view))
        except KeyboardInterrupt:
            pass  # that is how one leaves it


def _said(error: MediScanError) -> str:
    return f"no answer, as of then: {error}"


def _rate(before: contracts.ClusterView, now: contracts.ClusterView) -> float:
    """Jobs that ended a second between two looks; the ledger may be a new one."""
    seconds = (now.at - before.at).total_seconds()
    ended = sum(now.ended.values()) - sum(before.ended.values())
    return max(0.0, ended / seconds) if seconds > 0 else 0.0
