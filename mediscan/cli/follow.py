"""`watch`, and waiting for a job with something to look at."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from mediscan.cli import console, exits, words
from mediscan.cli.connect import PATIENT, AsJson, JobId, Timeout, connect
from mediscan.errors import MediScanError, WaitTimeoutError
from mediscan.sse import Event
from mediscan.wire import contracts

if TYPE_CHECKING:
    from mediscan import Client

#: How far a job has come with each event, for the bar.
_FRACTION = {
    "queued": 0.0,
    "ml.started": 0.2,
    "gemini.started": 0.3,
    "ml.done": 0.6,
    "gemini.done": 0.7,
    "gemini.skipped": 0.1,
    "gemini.unavailable": 0.7,
    "fusion.started": 0.9,
}


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(watch)


def watch(ctx: typer.Context, job_id: JobId, timeout: Timeout = PATIENT, as_json: AsJson = False) -> None:  # type: ignore[assignment]
    """Follow a job step by step until it is over."""
    with connect(ctx) as client:
        try:
            job = _watched(client, job_id, timeout.total_seconds(), as_json=as_json)
        except MediScanError as error:
            if isinstance(error, WaitTimeoutError):
                raise
            # No event stream, or a proxy that breaks it: ask how the job stands instead. That says what is wrong, too.
            job = waited(client, job_id, timeout.total_seconds(), as_json=as_json)
    if not as_json:
        console.out(words.line(job))
    raise typer.Exit(exits.of_job(job))


def waited(
    client: "Client", job_id: str, timeout_s: float, *, as_json: bool = False, name: str = ""
) -> contracts.JobView:
    """The job once it is over; shows how far it has come, from one state to the next."""
    with console.meter(name or job_id) as meter:
        for job in client.changes(job_id, timeout=timeout_s):
            last = job
            meter.show(
                job.progress.fraction, f"{name or words.clean(job.id)}: {words.plain(job.progress.step)}"
            )
            if as_json:
                console.out_json(job)
    return last


def _watched(client: "Client", job_id: str, timeout_s: float, *, as_json: bool) -> contracts.JobView:
    began, fraction = time.monotonic(), 0.0
    with console.meter(job_id) as meter:
        for event in client.events(job_id):
            # The readings come in any order; a bar only grows.
            fraction = max(fraction, _FRACTION.get(event.type, 1.0))
            _show(event, fraction, meter, as_json=as_json)
            if time.monotonic() - began > timeout_s and not event.is_last:
                raise WaitTimeoutError(
                    f"{job_id} is not over after {timeout_s:g} s; it goes on.", last_seen=None
                )
    return client.get(job_id)


def _show(event: Event, fraction: float, meter: console.Meter, *, as_json: bool) -> None:
    if as_json:
        console.out_event(event.id, event.type, event.data)
    else:
        meter.show(fraction, " ".join(_in_words(event)))


def _in_words(event: Event) -> Iterator[str]:
    yield words.clean(event.type)
    for name, value in event.data.items():
        if value is not None and not isinstance(value, dict | list):
            shown = f"{value:.2f}" if isinstance(value, float) else words.clean(value)
            yield f"{words.plain(name)}={shown}"
