"""`dead list | show | replay`: jobs that were given up, for operators with a key of the scope `admin`."""

from typing import Annotated

import typer

from mediscan.cli import console, words
from mediscan.cli.connect import AsJson, JobId, JobIds, connect
from mediscan.wire import contracts

app = typer.Typer(no_args_is_help=True, help="Jobs that were given up. Needs a key with the scope admin.")


@app.command("list")
def list_dead(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Most to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Jobs that were given up, newest first."""
    with connect(ctx) as client:
        letters = client.dead_letters(page_size=min(limit, 50))
        found = [letter for _, letter in zip(range(limit), letters, strict=False)]
    for letter in found:
        _print(letter, as_json=as_json)
    if not found:
        console.say("No job was given up.")


@app.command()
def show(ctx: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Why one was given up."""
    with connect(ctx) as client:
        _print(client.dead_letter(job_id), as_json=as_json)


@app.command()
def replay(ctx: typer.Context, job_ids: JobIds, as_json: AsJson = False) -> None:
    """Have jobs that were given up read again."""
    with connect(ctx) as client:
        for job_id in job_ids:
            job = client.replay(job_id).view
            if as_json:
                console.out_json(job)
            else:
                console.out(words.line(job))


def _print(letter: contracts.DeadLetter, *, as_json: bool) -> None:
    if as_json:
        console.out_json(letter)
        return
    why = f"{words.clean(letter.error.code)}: {words.clean(letter.error.detail)}"
    console.out(f"{letter.died_at:%Y-%m-%d %H:%M:%S} UTC  {words.clean(letter.job_id)}  {why}")
