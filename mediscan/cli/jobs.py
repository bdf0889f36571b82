"""`submit`, `status`, `result`, `list`, `cancel`, `delete`, `retry`."""

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediscan.cli import console, exits, words
from mediscan.cli.connect import PATIENT, AsJson, JobId, JobIds, Timeout, connect
from mediscan.cli.follow import waited
from mediscan.wire import contracts, job_state, names

if TYPE_CHECKING:
    from mediscan import Client, Job
    from mediscan.calls import Filter, Submission

_STDIN = "-"


def add(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (submit, status, result, cancel, delete, retry):
        app.command()(command)
    app.command("list")(list_jobs)


def submission(
    priority: names.Priority | None,
    metadata: list[str],
    model: str | None,
    *,
    deduplicate: bool,
    burned_in_text: bool = False,
) -> "Submission":
    """The options that every image is submitted with; typer.BadParameter for malformed metadata."""
    chosen: Submission = {}
    if priority:
        chosen["priority"] = priority
    if metadata:
        chosen["metadata"] = dict(_pair(text) for text in metadata)
    if model:
        chosen["model"] = model
    if deduplicate:
        chosen["deduplicate"] = True
    if burned_in_text:
        chosen["burned_in_text"] = True
    return chosen


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter("write metadata as name=value")
    try:
        read = json.loads(value)
    except ValueError:
        read = value
    return name, value if isinstance(read, dict | list) else read


Priority = Annotated[names.Priority | None, typer.Option(help="stat goes ahead of routine.")]
Metadata = Annotated[
    list[str],
    typer.Option("--metadata", "-m", metavar="NAME=VALUE", help="Given back as sent; may be repeated."),
]
Model = Annotated[str | None, typer.Option(metavar="NAME/VERSION", help="One that `models` lists.")]
Deduplicate = Annotated[
    bool, typer.Option("--deduplicate", help="Do not read an equal image of yours again.")
]


BurnedInText = Annotated[
    bool, typer.Option("--burned-in-text", help="There is writing in the picture: it is not sent to Gemini.")
]


def _frame(text: str) -> str:
    if text not in {"middle", "all"} and not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise typer.BadParameter("say middle, all, or a number from 1")
    return text


def submit(
    ctx: typer.Context,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="PNG, JPEG or DICOM images; - is standard input.")
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until each is over.")] = False,
    priority: Priority = None,
    metadata: Metadata = [],  # noqa: B006 - typer copies it
    model: Model = None,
    prior: Annotated[str | None, typer.Option(metavar="ID", help="An earlier job to compare with.")] = None,
    client_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="An id of your choice; submitted again, it is the same job."),
    ] = None,
    frame: Annotated[
        str | None,
        typer.Option(
            metavar="middle|all|NUMBER", parser=_frame, help="Which of a DICOM image's frames is read."
        ),
    ] = None,
    burned_in_text: BurnedInText = False,
    deduplicate: Deduplicate = False,
    webhook_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Your server, to be told how the job ends.")
    ] = None,
    webhook_events: Annotated[
        list[contracts.WebhookEvent],
        typer.Option("--webhook-event", help="Of these ends alone; may be repeated."),
    ] = [],  # noqa: B006 - typer copies it
    timeout: Timeout = PATIENT,  # type: ignore[assignment]
    as_json: AsJson = False,
) -> None:
    """Submit images; prints a job for each."""
    options = submission(priority, metadata, model, deduplicate=deduplicate, burned_in_text=burned_in_text)
    if client_id and len(files) > 1:
        raise typer.BadParameter("one --client-id is for one file")
    own = {
        "prior_job_id": prior,
        "client_id": client_id,
        "frame": frame,
        "webhook_url": webhook_url,
        "webhook_events": webhook_events,
    }
    options.update({name: value for name, value in own.items() if value})  # type: ignore[typeddict-item]
    with connect(ctx) as client:
        submitted = [(file, _submitted(client, file, options)) for file in files]
        if not wait:
            for file, job in submitted:
                _print(job.view, as_json=as_json, beside=file)
            return
        ended = [waited(client, job.id, timeout.total_seconds(), name=file) for file, job in submitted]
    for file, view in zip(files, ended, strict=True):
        _print(view, as_json=as_json, beside=file)
    raise typer.Exit(max(exits.of_job(view) for view in ended))


def _submitted(client: "Client", file: str, options: "Submission") -> "Job":
    return client.submit(sys.stdin.buffer.read() if file == _STDIN else Path(file), **options)


def status(ctx: typer.Context, job_ids: JobIds, as_json: AsJson = False) -> None:
    """How jobs stand, one line each."""
    with connect(ctx) as client:
        for job_id in job_ids:
            _print(client.get(job_id), as_json=as_json)


def result(
    ctx: typer.Context,
    job_id: JobId,
    wait: Annotated[bool, typer.Option(help="Wait for it.")] = True,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write the heatmap there, as PNG.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show the heatmap.")] = False,
    fhir: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write it there, as a FHIR R4 bundle.")
    ] = None,
    dicom: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write it there, as a DICOM report.")
    ] = None,
    timeout: Timeout = PATIENT,  # type: ignore[assignment]
    as_json: AsJson = False,
) -> None:
    """A job's result as a report."""
    with connect(ctx) as client:
        job = client.get(job_id)
        if wait and job.state not in job_state.TERMINAL:
            job = waited(client, job_id, timeout.total_seconds())
        if as_json:
            console.out_json(job)
        else:
            console.out("\n".join(words.report(job, console.width())))
        if (save or open_) and isinstance(job.readings.ml, contracts.MlReading):
            _heatmap(client.heatmap(job.id), save, show=open_)
        if fhir and job.result:
            fhir.write_bytes(client.fhir(job.id))
            console.say(f"FHIR: {fhir}")
        if dicom and job.result:
            dicom.write_bytes(client.dicom(job.id))
            console.say(f"DICOM: {dicom}")
    raise typer.Exit(exits.of_job(job))


def _heatmap(png: bytes, save: Path | None, *, show: bool) -> None:
    if save is None:
        with tempfile.NamedTemporaryFile(prefix="mediscan-", suffix=".png", delete=False) as file:
            save = Path(file.name)
    save.write_bytes(png)
    console.say(f"heatmap: {save}")
    if show and typer.launch(str(save)):
        console.say("There is no viewer to show it with.")


def list_jobs(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to show.")] = 20,
    state: Annotated[job_state.JobState | None, typer.Option(help="Only these.")] = None,
    label: Annotated[contracts.Label | None, typer.Option(help="Only these.")] = None,
    risk: Annotated[contracts.RiskBand | None, typer.Option(help="Only these.")] = None,
    needs_review: Annotated[
        bool | None, typer.Option("--needs-review/--no-review", help="Only these.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Submitted at 2026-01-31T12:00Z or later.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Submitted before.")] = None,
    batch: Annotated[str | None, typer.Option(metavar="ID", help="Submitted with this batch.")] = None,
    as_json: AsJson = False,
) -> None:
    """Your jobs, newest first."""
    given = {
        "state": state,
        "label": label,
        "risk_band": risk,
        "needs_review": needs_review,
        "since": since,
        "until": until,
        "batch": batch,
    }
    chosen: Filter = {name: value for name, value in given.items() if value is not None}  # type: ignore[assignment]
    with connect(ctx) as client:
        found = [
            job for _, job in zip(range(limit), client.list(page_size=min(limit, 50), **chosen), strict=False)
        ]
    for job in found:
        _print(job, as_json=as_json, beside=f"{job.created_at:%Y-%m-%d %H:%M} UTC")
    if not found:
        console.say("No such job." if chosen else "No job yet: `mediscan submit` makes one.")


def cancel(ctx: typer.Context, job_ids: JobIds, as_json: AsJson = False) -> None:
    """Call jobs off."""
    with connect(ctx) as client:
        for job_id in job_ids:
            _print(client.cancel(job_id), as_json=as_json)


def retry(ctx: typer.Context, job_ids: JobIds, as_json: AsJson = False) -> None:
    """Try jobs again that came to nothing, as new jobs."""
    with connect(ctx) as client:
        for job_id in job_ids:
            _print(client.retry(job_id).view, as_json=as_json)


def delete(
    ctx: typer.Context,
    job_ids: JobIds,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase jobs with their images and results, for good."""
    if not yes:
        _ask(f"Erase {len(job_ids)} job(s) with image and result, for good?")
    with connect(ctx) as client:
        for job_id in job_ids:
            client.delete(job_id)
            erased = json.dumps({"id": job_id, "deleted": True})
            console.out(erased if as_json else f"{words.clean(job_id)}  erased")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is nobody to ask: say --yes")
    typer.confirm(question, abort=True, err=True)


def _print(job: contracts.JobView, *, as_json: bool, beside: str = "") -> None:
    if as_json:
        console.out_json(job)
    else:
        console.out(f"{words.line(job)}  {words.clean(beside)}".rstrip())
