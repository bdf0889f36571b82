"""`keys create | list | revoke | rotate`: API keys, for whoever may write the blob store.

Run where the server's settings are: beside `make run`, or in the gateway's container. A new key is printed on
standard output, once, and is nowhere else; what a person should know beside it goes to standard error.
"""

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediscan.duration import duration

if TYPE_CHECKING:
    from services.gateway.api_keys import ApiKey, Token
    from services.gateway.key_admin import KeyAdmin

app = typer.Typer(no_args_is_help=True, help="API keys: who may call the gateway.")

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Id = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")]
_READ_AND_SUBMIT = ["submit", "read"]


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose jobs the key may touch: a-z, 0-9 and -.")],
    scope: Annotated[list[str], typer.Option(help="submit, read or admin; may be given several times.")] = (
        _READ_AND_SUBMIT
    ),
    label: Annotated[str, typer.Option(help="Which system holds it; no patient's name.")] = "",
    expires: Annotated[
        str, typer.Option(metavar="DURATION", help="From now on: 12h, 90d. Default: never.")
    ] = "",
    rate_per_minute: Annotated[int | None, typer.Option(help="Most requests a minute.")] = None,
    daily_quota: Annotated[int | None, typer.Option(help="Most jobs a UTC day.")] = None,
    as_json: _Json = False,
) -> None:
    """Make a key and print it, once."""
    key, token = _admin().create(
        lifetime=duration(expires) if expires else None,
        tenant=tenant,
        scopes=scope,
        label=label,
        rate_per_minute=rate_per_minute,
        daily_quota=daily_quota,
    )
    _print_new(key, token, as_json)


@app.command("list")
def list_keys(as_json: _Json = False) -> None:
    """Every key with its state, oldest first; never a secret."""
    found = _admin().all()
    if as_json:
        _print(json.dumps([_public(key) for key in found]))
        return
    for key in found:
        _print(_line(key))
    if not found:
        _say("there is no key yet; `keys create` makes one")


@app.command()
def revoke(key_id: _Id) -> None:
    """End a key at once, and for good: gateways refuse it within MEDISCAN_KEY_CACHE_S seconds."""
    key = _admin().revoke(key_id)
    _say(f"key {key.id} of tenant {key.tenant} is revoked")


@app.command()
def rotate(
    key_id: _Id,
    overlap: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the old one still works.")
    ] = "7d",
    as_json: _Json = False,
) -> None:
    """Make a second key with the same rights and print it; the first ends after the overlap."""
    new, token, ending = _admin().rotate(key_id, duration(overlap))
    _print_new(new, token, as_json)
    _say(f"key {key_id} works until {ending.expires_at:%Y-%m-%d %H:%M} UTC")


def _admin() -> "KeyAdmin":
    from services.gateway.key_admin import KeyAdmin

    return KeyAdmin.open()


def _print_new(key: "ApiKey", token: "Token", as_json: bool) -> None:
    _print(json.dumps({"key": token.text} | _public(key)) if as_json else token.text)
    _say(f"key {key.id} of tenant {key.tenant}, scopes {_scopes(key)}; it is shown this once")


def _public(key: "ApiKey") -> dict[str, Any]:
    fields = key.model_dump(mode="json", exclude={"secret_sha256"})
    return fields | {"scopes": sorted(key.scopes), "state": key.state(datetime.now(UTC))}


def _line(key: "ApiKey") -> str:
    until = f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "-"
    state = key.state(datetime.now(UTC))
    parts = (
        key.id,
        f"{state:<7}",
        key.tenant,
        _scopes(key),
        f"made {key.created_at:%Y-%m-%d}",
        f"until {until}",
    )
    return "  ".join((*parts, key.label)).rstrip()


def _scopes(key: "ApiKey") -> str:
    return ",".join(sorted(key.scopes))


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
