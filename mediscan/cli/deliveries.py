"""`deliveries` and `redeliver`: what became of the webhook of a job."""

import typer

from mediscan.cli import console, words
from mediscan.cli.connect import AsJson, JobId, JobIds, connect
from mediscan.wire import contracts


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(deliveries)
    app.command()(redeliver)


def deliveries(ctx: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Every attempt to tell a job's webhook how it ended."""
    with connect(ctx) as client:
        found = client.deliveries(job_id)
    _print(found, as_json=as_json)
    if not found:
        console.say("Nobody is told of this job's end, or it is not over.")


def redeliver(ctx: typer.Context, job_ids: JobIds, as_json: AsJson = False) -> None:
    """Have jobs' webhooks sent once more."""
    with connect(ctx) as client:
        for job_id in job_ids:
            _print(client.redeliver(job_id), as_json=as_json)


def _print(found: tuple[contracts.Delivery, ...], *, as_json: bool) -> None:
    for delivery in found:
        if as_json:
            console.out_json(delivery)
            continue
        due = delivery.next_attempt_at
        then = f", next attempt {due:%Y-%m-%d %H:%M:%S} UTC" if due else ""
        console.out(f"{words.clean(delivery.id)}  {words.clean(delivery.event)}  {delivery.state}{then}")
        for attempt in delivery.attempts:
            status = "" if attempt.status is None else f", HTTP {attempt.status}"
            said = f"{words.plain(attempt.outcome)}{status} ({attempt.duration_ms:.0f} ms)"
            console.out(f"  {attempt.at:%Y-%m-%d %H:%M:%S} UTC  {said}")
