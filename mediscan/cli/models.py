"""`models`."""

import typer

from mediscan.cli import console, words
from mediscan.cli.connect import AsJson, connect
from mediscan.wire import contracts


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(models)


def models(ctx: typer.Context, as_json: AsJson = False) -> None:
    """What images can be read with."""
    with connect(ctx) as client:
        found = client.models()
    for entry in found:
        if as_json:
            console.out_json(entry)
        else:
            console.out(_line(entry))
    if not found:
        console.say("No ML worker has offered a model within the last day; `mediscan doctor` looks closer.")


def _line(entry: contracts.ModelEntry) -> str:
    mark = "  (default)" if entry.is_default else ""
    means = entry.card.get("positive_means")
    told = f"  positive: {words.clean(means)}" if isinstance(means, str) else ""
    return f"{words.clean(entry.id)}{mark}{told}"
