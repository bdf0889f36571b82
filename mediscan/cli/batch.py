"""`batch`: every image of a folder, several at a time; one line of JSON for each as it is done.

A file that has a job in the results already is left out, so the same command goes on where it was stopped.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from mediscan.cli import console, exits, words
from mediscan.cli.connect import PATIENT, AsJson, Timeout, connect_async
from mediscan.cli.jobs import BurnedInText, Deduplicate, Metadata, Model, Priority, submission
from mediscan.errors import (
    AuthenticationError,
    ConfigurationError,
    MediScanError,
    PermissionDeniedError,
    UnexpectedAnswerError,
    UnreachableError,
)

if TYPE_CHECKING:
    from mediscan import AsyncClient
    from mediscan.calls import Submission

_IMAGES = frozenset({".dcm", ".png", ".jpg", ".jpeg"})

#: Of the server or of us, not of one image: the next would fare no better.
_HOPELESS = (
    AuthenticationError,
    ConfigurationError,
    PermissionDeniedError,
    UnexpectedAnswerError,
    UnreachableError,
)


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(batch)


def batch(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="A folder of images.")
    ],
    results: Annotated[
        Path,
        typer.Option(
            "--results", "-o", metavar="FILE", dir_okay=False, help="Where the results go: JSON Lines."
        ),
    ] = Path("results.jsonl"),
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Folders within it, too.")] = False,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="How many images at a time.")] = 8,
    priority: Priority = None,
    metadata: Metadata = [],  # noqa: B006 - typer copies it
    model: Model = None,
    burned_in_text: BurnedInText = False,
    deduplicate: Deduplicate = False,
    timeout: Timeout = PATIENT,  # type: ignore[assignment]
    as_json: AsJson = False,
) -> None:
    """Submit a folder of images, wait, keep the results."""
    options = submission(priority, metadata, model, deduplicate=deduplicate, burned_in_text=burned_in_text)
    images = _images(folder, recursive=recursive)
    if not images:
        raise typer.BadParameter(f"there is no PNG, JPEG or DICOM file in {folder}")
    done = _done(results)
    left = {name: path for name, path in images.items() if name not in done}
    if len(left) < len(images):
        console.say(f"{len(images) - len(left)} of {len(images)} images are in {results} already")
    _end_last_line(results)
    with results.open("a", encoding="utf-8") as file, console.meter("batch") as meter:
        run = _Run(left, options, timeout.total_seconds(), file, meter)
        asyncio.run(run.all(connect_async(ctx), parallel))
    summary = run.tally | {"already_there": len(images) - len(left), "results": str(results)}
    console.out(json.dumps(summary) if as_json else _sentence(run.tally, len(left), results))
    raise typer.Exit(exits.Exit.OK if run.tally["completed"] == len(left) else exits.Exit.FAILED)


@dataclass
class _Run:
    """One run over the images that are left."""

    images: Mapping[str, Path]
    options: "Submission"
    timeout_s: float
    file: IO[str]
    meter: console.Meter
    tally: dict[str, int] = field(default_factory=lambda: {"completed": 0, "without_result": 0, "refused": 0})

    async def all(self, client: "AsyncClient", parallel: int) -> None:
        """Work through them; what makes the rest hopeless is raised."""
        waiting = iter(self.images.items())
        hopeless: list[Exception] = []
        try:
            async with client, asyncio.TaskGroup() as tasks:
                for _ in range(min(parallel, len(self.images))):
                    tasks.create_task(self._work(client, waiting))
        except* MediScanError as several:
            hopeless.extend(several.exceptions)
        if hopeless:  # raised in there, it would come out as a group again
            raise hopeless[0]

    async def _work(self, client: "AsyncClient", waiting: Iterator[tuple[str, Path]]) -> None:
        for name, path in waiting:
            try:
                job = await client.analyze(path, timeout=self.timeout_s, **self.options)
            except _HOPELESS:
                raise
            except (MediScanError, OSError) as error:
                self._note("refused", {"file": name, "error": _as_json(error)})
            else:
                kind = "completed" if job.result is not None else "without_result"
                self._note(kind, {"file": name, "job": job.model_dump(mode="json")})

    def _note(self, kind: str, line: Mapping[str, Any]) -> None:
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        self.tally[kind] += 1
        done, total = sum(self.tally.values()), len(self.images)
        trouble = (
            "" if self.tally["completed"] == done else f", {done - self.tally['completed']} without a result"
        )
        if done == total or done * 20 // total > (done - 1) * 20 // total:
            self.meter.show(done / total, f"{done} of {total} images{trouble}")


def _images(folder: Path, *, recursive: bool) -> dict[str, Path]:
    found = folder.rglob("*") if recursive else folder.iterdir()
    images = sorted(path for path in found if path.suffix.lower() in _IMAGES and path.is_file())
    return {str(path.relative_to(folder)): path for path in images}


def _done(results: Path) -> set[str]:
    """Files that have a job in the results; a line that was cut when the last run was killed has none."""
    if not results.exists():
        return set()
    lines = [_read(text) for text in results.read_text(encoding="utf-8").splitlines()]
    return {str(line["file"]) for line in lines if "job" in line and "file" in line}


def _end_last_line(results: Path) -> None:
    """What comes next must not be appended to a line that was cut."""
    if results.exists() and (written := results.read_bytes()) and not written.endswith(b"\n"):
        results.write_bytes(written + b"\n")


def _read(text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def _as_json(error: MediScanError | OSError) -> dict[str, Any]:
    if isinstance(error, MediScanError):
        return {"code": error.code, "status": error.status, "detail": error.detail}
    return {"code": "unreadable_file", "status": None, "detail": error.strerror or "The file cannot be read."}


def _sentence(tally: Mapping[str, int], total: int, results: Path) -> str:
    parts = [f"{count} {words.plain(kind)}" for kind, count in tally.items() if count]
    return f"{total} images: {', '.join(parts) or 'nothing left to do'}; {results}"
