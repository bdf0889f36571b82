"""`doctor`: from the URL to the workers, what is right, what is not, and what to do about it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

import typer

from mediscan import calls, replies
from mediscan.cli import console, exits, words
from mediscan.cli.connect import AsJson, connect
from mediscan.errors import MediScanError, RefusedError
from mediscan.version import __version__
from mediscan.wire import contracts

if TYPE_CHECKING:
    from mediscan import Client

#: The API that this client speaks: `info.version` of the server's OpenAPI document.
_API = "1"
#: Beyond this, expiry times and timestamps of webhooks stop making sense.
_SKEW_S = 30

#: What to do where a part is missing.
_REMEDY = {
    "ledger": "start the Redis or Valkey of MEDISCAN_REDIS_URL, and see that it may write to its disk",
    "blob_store": "make the place that MEDISCAN_BLOB_URL names writable for the gateway",
    "ml_worker": "start an ML worker: no job can end without one",
    "fusion_worker": "start a fusion worker: no job can end without one",
    "gemini_worker": "start a Gemini worker, or switch MEDISCAN_GEMINI_ENABLED off",
    "reaper": "start the reaper (python -m services.fusion reaper): it rescues what stopped",
}
_SERVICES = {
    "gateway": "GatewaySettings",
    "ml_worker": "MlWorkerSettings",
    "gemini_worker": "GeminiWorkerSettings",
    "fusion": "FusionSettings",
}


class Finding(NamedTuple):
    """One line."""

    level: Literal["ok", "warn", "fail"]
    text: str
    todo: str = ""
    status: exits.Exit = exits.Exit.OK


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Check client and server; say what to fix."""
    worst = exits.Exit.OK
    for found in _examine(ctx):
        _print(found, as_json=as_json)
        worst = worst or found.status
    raise typer.Exit(worst)


def _examine(ctx: typer.Context) -> Iterator[Finding]:
    yield Finding("ok", f"client {__version__}")
    yield from _settings()
    try:
        with connect(ctx) as client:
            yield from _url(client.url)
            yield from _alive(client)
            yield from _api(client)
            yield from _key(client)
            yield from _ready(client)
    except MediScanError as error:
        yield _failed(error)


def _failed(error: MediScanError) -> Finding:
    said, status = exits.explain(error) or (str(error), exits.Exit.FAILED)
    todo = said.removeprefix(str(error)).replace(" `mediscan doctor` looks closer.", "").strip()
    return Finding("fail", str(error), todo, status)


def _url(url: str) -> Iterator[Finding]:
    where = urlsplit(url)
    if where.scheme == "http" and where.hostname not in {"127.0.0.1", "::1", "localhost"}:
        yield Finding(
            "warn", f"{url} is not encrypted", "use https: the key and the images can be read on the way"
        )


def _alive(client: "Client") -> Iterator[Finding]:
    reply = client.send(calls.health())
    now = datetime.now(UTC)
    yield Finding("ok", f"{client.url} answers")
    theirs = replies.server_time(reply)
    if theirs is None:
        return
    ahead_s = (theirs - now).total_seconds()
    if abs(ahead_s) > _SKEW_S:
        yield Finding(
            "warn",
            f"the server's clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's",
            "set both by NTP",
        )
    else:
        yield Finding("ok", "the clocks agree")


def _api(client: "Client") -> Iterator[Finding]:
    try:
        about = json.loads(client.send(calls.description()).body)["info"]
        title, version = about["title"], about["version"]
    except (RefusedError, ValueError, LookupError, TypeError):
        yield Finding(
            "warn", "the server does not say which API it has", "see that MEDISCAN_URL leads to MediScan"
        )
        return
    if (title, version) == ("MediScan", _API):
        yield Finding("ok", f"API version {version}")
    else:
        said = (
            f"the server says {words.clean(title)} {words.clean(version)}, this client speaks MediScan {_API}"
        )
        yield Finding("warn", said, "install the client of the server's version")


def _key(client: "Client") -> Iterator[Finding]:
    found = client.models()
    yield Finding("ok", "the server takes our calls")
    if found:
        default = next((words.clean(entry.id) for entry in found if entry.is_default), "none is the default")
        yield Finding("ok", f"models: {len(found)}, default {default}")
    else:
        yield Finding("fail", "no model is offered", "start an ML worker", exits.Exit.UNREACHABLE)


def _ready(client: "Client") -> Iterator[Finding]:
    ready = client.readiness()
    if not isinstance(ready, contracts.Readiness):
        yield _status_only(ready)
        return
    for part in ready.missing:
        yield Finding("fail", f"missing: {words.plain(part)}", _remedy(part), exits.Exit.UNREACHABLE)
    for part in ready.degraded:
        yield Finding("warn", f"degraded: {words.plain(part)}", _remedy(part))
    alive = ", ".join(f"{stage} {count}" for stage, count in (ready.workers or {}).items())
    if not ready.missing:
        yield Finding("ok", f"ready; workers: {alive}")


def _status_only(ready: contracts.ReadyStatus) -> Finding:
    todo = "a key with the scope admin is told what is missing"
    if ready.status == "unavailable":
        return Finding("fail", "the server is not ready", todo, exits.Exit.UNREACHABLE)
    return (
        Finding("ok", "ready") if ready.status == "ready" else Finding("warn", "the server is degraded", todo)
    )


def _remedy(part: str) -> str:
    return _REMEDY.get(part, "the server's log says more")


def _settings() -> Iterator[Finding]:
    """On the server's machine: whether its services could start with the settings that are here."""
    if find_spec("services") is None:
        return
    from shared.errors import SetupError
    from shared.settings import load

    for service, name in _SERVICES.items():
        if find_spec(f"services.{service}") is None:
            continue
        settings: Any = getattr(import_module(f"services.{service}.settings"), name)
        try:
            load(settings)
        except SetupError as error:
            yield Finding(
                "fail", f"settings of {service}: {error.detail}", "docs/settings.md", exits.Exit.USAGE
            )
        else:
            yield Finding("ok", f"settings of {service}")


def _print(found: Finding, *, as_json: bool) -> None:
    if as_json:
        console.out(json.dumps({"level": found.level, "finding": found.text, "todo": found.todo}))
        return
    mark = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}[found.level]
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    console.out(f"{console.colour(mark, colours[found.level])}  {found.text}")
    if found.todo:
        console.out(f"      -> {found.todo}")
