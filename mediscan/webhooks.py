"""`webhooks secret create | rotate | list`: what signs webhooks, for whoever may write the blob store.

Run where the server's settings are: beside `make run`, or in the gateway's container. A new secret is printed on
standard output, once; what a person should know beside it goes to standard error.
"""

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediscan.duration import duration

if TYPE_CHECKING:
    from services.gateway.webhook_admin import WebhookAdmin
    from shared.webhooks.secrets import WebhookSecret

app = typer.Typer(no_args_is_help=True, help="Webhooks: what signs them.")
secret_app = typer.Typer(no_args_is_help=True, help="The secrets that receivers check signatures with.")
app.add_typer(secret_app, name="secret")

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Tenant = Annotated[str, typer.Option(help="Whose webhooks: a-z, 0-9 and -.")]


@secret_app.command()
def create(tenant: _Tenant, as_json: _Json = False) -> None:
    """Make the first secret of a tenant and print it, once."""
    _print_new(_admin().create(tenant), as_json)


@secret_app.command()
def rotate(
    tenant: _Tenant,
    overlap: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the one before signs beside it.")
    ] = "7d",
    as_json: _Json = False,
) -> None:
    """Make the next secret and print it; until the overlap is over, webhooks carry a signature of each."""
    _print_new(_admin().rotate(tenant, duration(overlap)), as_json)


@secret_app.command("list")
def list_secrets(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone.")] = None, as_json: _Json = False
) -> None:
    """Every secret with its state; never the secret itself."""
    found = _admin().all(tenant)
    if as_json:
        _print(json.dumps([_public(secret) for secret in found]))
        return
    for secret in found:
        shown = _public(secret)
        until = f"{secret.expires_at:%Y-%m-%d %H:%M}" if secret.expires_at else "-"
        made = f"made {secret.created_at:%Y-%m-%d}"
        _print("  ".join((secret.id, f"{shown['state']:<7}", secret.tenant, made, f"until {until}")))


def _admin() -> "WebhookAdmin":
    from services.gateway.webhook_admin import WebhookAdmin

    return WebhookAdmin.open()


def _print_new(secret: "WebhookSecret", as_json: bool) -> None:
    text = secret.secret.get_secret_value()
    _print(json.dumps({"secret": text} | _public(secret)) if as_json else text)
    _say(f"secret {secret.id} of tenant {secret.tenant}; it is shown this once")


def _public(secret: "WebhookSecret") -> dict[str, Any]:
    state = "valid" if secret.is_valid(datetime.now(UTC)) else "expired"
    return secret.model_dump(mode="json", exclude={"secret"}) | {"state": state}


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
