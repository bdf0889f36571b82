"""From a command's context to a client. The client's libraries are loaded here, when a command needs them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from mediscan.duration import duration

if TYPE_CHECKING:
    from mediscan import AsyncClient, Client


@dataclass(frozen=True)
class Options:
    """What all commands share."""

    url: str | None
    retry_for: float


def connect(ctx: typer.Context) -> "Client":
    """A client for the server that was named; ConfigurationError where it cannot be one."""
    from mediscan import Client

    options = ctx.ensure_object(Options)
    return Client(options.url, retry_for=options.retry_for)


def connect_async(ctx: typer.Context) -> "AsyncClient":
    """The same for asyncio."""
    from mediscan import AsyncClient

    options = ctx.ensure_object(Options)
    return AsyncClient(options.url, retry_for=options.retry_for)


#: For `--json`.
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]

#: For a job's id.
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id, or the one you gave it.")]
JobIds = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of jobs.")]

#: For `--timeout`.
Timeout = Annotated[
    timedelta, typer.Option(parser=duration, metavar="DURATION", help="How long to wait: 90s, 10m, 2h.")
]

#: A little more than a job may live by default.
PATIENT = "16m"
