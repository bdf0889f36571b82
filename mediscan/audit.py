"""`audit verify | show`: the sealed audit trail, for whoever may read the blob store.

What happened within the last MEDISCAN_AUDIT_SEAL_S seconds is not sealed yet and not shown.
"""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from shared.audit.trail import Trail

app = typer.Typer(no_args_is_help=True, help="The audit trail: who did what to which job.")

_BROKEN, _UNCHECKED = 1, 2


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option(help="A hash that the reaper logged: shows a trail whose end was cut off.")
    ] = None,
) -> None:
    """Check the whole chain. Exit status 0: it holds; 1: it does not; 2: it could not be checked."""
    from shared.errors import MediScanError

    try:
        found = _trail().verify(head)
    except MediScanError as error:
        sys.stderr.write(f"mediscan: {error.detail}\n")
        raise typer.Exit(_UNCHECKED) from error
    if found.broken:
        sys.stdout.write(f"broken: {found.broken}\n")
        raise typer.Exit(_BROKEN)
    sys.stdout.write(f"intact: {found.lines} events in {found.segments} segments, head {found.head.hash}\n")


@app.command()
def show(
    job: Annotated[str | None, typer.Option(help="Of this job alone.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one event a line.")] = False,
) -> None:
    """Every sealed event, oldest first. Exit status 1 where the chain is broken: what follows is not shown."""
    from shared.audit.chain import BrokenChainError

    try:
        for event, _ in _trail().entries():
            if _is_about(event, job) and tenant in {None, event.get("tenant")}:
                sys.stdout.write((json.dumps(event) if as_json else _line(event)) + "\n")
    except BrokenChainError as error:
        sys.stderr.write(f"mediscan: broken: {error}\n")
        raise typer.Exit(_BROKEN) from error


def _is_about(event: dict[str, Any], job: str | None) -> bool:
    return job in {None, event.get("job")} or job in event.get("jobs", ())


def _trail() -> "Trail":
    from shared.audit.trail import Trail
    from shared.blob_store import BlobStore
    from shared.settings import Settings, load

    return Trail(BlobStore.open(load(Settings).blob_url))


def _line(event: dict[str, Any]) -> str:
    parts = [str(event.get(name, "-")) for name in ("at", "action", "key", "tenant", "job")]
    more = [f"{name}={event[name]}" for name in ("about", "count") if name in event]
    more += [f"jobs={','.join(event['jobs'])}"] if "jobs" in event else []
    return "  ".join(parts + more)
