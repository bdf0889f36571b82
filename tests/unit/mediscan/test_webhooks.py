"""`python -m mediscan webhooks`: what it prints where, and what it leaves in the store."""

import base64
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from shared.audit.trail import Trail
from shared.webhooks.secrets import WebhookSecret, WebhookSecrets
from tests.unit.mediscan.terminal import Terminal

_HERE = ("webhooks", "secret")


def stored(terminal: Terminal, tenant: str = "ward-7") -> list[WebhookSecret]:
    return WebhookSecrets(terminal.blobs).of(tenant)


def test_a_new_secret_alone_is_on_standard_output(terminal: Terminal) -> None:
    status, out, err = terminal.run(*_HERE, "create", "--tenant", "ward-7")
    (secret,) = stored(terminal)
    assert (status, out) == (0, secret.secret.get_secret_value() + "\n")
    assert out.strip() not in err
    assert len(base64.b64decode(out.strip().removeprefix("whsec_"), validate=True)) == 32


def test_a_second_one_is_made_by_rotation_alone(terminal: Terminal) -> None:
    terminal.run(*_HERE, "create", "--tenant", "ward-7")
    status, out, err = terminal.run(*_HERE, "create", "--tenant", "ward-7")
    assert (status != 0, out) == (True, "")
    assert "rotate" in err
    assert len(stored(terminal)) == 1


def test_rotation_makes_two_valid_secrets_at_once_and_ends_the_first(terminal: Terminal) -> None:
    terminal.run(*_HERE, "create", "--tenant", "ward-7")
    terminal.run(*_HERE, "rotate", "--tenant", "ward-7", "--overlap", "2h")
    new, old = stored(terminal)
    assert new.expires_at is None
    assert old.expires_at is not None
    now = datetime.now(UTC)
    assert old.is_valid(now)
    assert not old.is_valid(now + timedelta(hours=2, seconds=1))
    assert new.secret != old.secret


def test_rotation_never_lengthens_what_is_ending(terminal: Terminal) -> None:
    terminal.run(*_HERE, "create", "--tenant", "ward-7")
    terminal.run(*_HERE, "rotate", "--tenant", "ward-7", "--overlap", "1h")
    before = stored(terminal)[-1].expires_at
    terminal.run(*_HERE, "rotate", "--tenant", "ward-7", "--overlap", "9d")
    assert stored(terminal)[-1].expires_at == before


@pytest.mark.parametrize("command", ["create", "rotate"])
def test_what_is_no_tenant_is_refused(terminal: Terminal, command: str) -> None:
    status, _, err = terminal.run(*_HERE, command, "--tenant", "../_keys")
    assert status != 0
    assert "a-z" in err


def test_nothing_to_rotate_is_said(terminal: Terminal) -> None:
    status, _, err = terminal.run(*_HERE, "rotate", "--tenant", "ward-7")
    assert status != 0
    assert "create" in err


def test_the_list_shows_no_secret(terminal: Terminal) -> None:
    for tenant in ("ward-7", "ward-8"):
        terminal.run(*_HERE, "create", "--tenant", tenant)
    _, out, _ = terminal.run(*_HERE, "list")
    (secret,) = stored(terminal)
    assert secret.id in out
    assert out.count("valid") == 2
    assert "whsec_" not in out
    (only,) = terminal.json(*_HERE, "list", "--tenant", "ward-7")
    assert (only["id"], only["state"], "secret" in only) == (secret.id, "valid", False)


def test_each_change_is_in_the_audit_trail(terminal: Terminal) -> None:
    terminal.run(*_HERE, "create", "--tenant", "ward-7")
    terminal.run(*_HERE, "rotate", "--tenant", "ward-7")
    found = [(event["action"], event["about"]) for event, _ in Trail(terminal.blobs).entries()]
    new, old = stored(terminal)
    assert found == [("webhook_signing_began", old.id), ("webhook_signing_rotated", new.id)]


def test_a_secret_does_not_show_itself(terminal: Terminal) -> None:
    terminal.run(*_HERE, "create", "--tenant", "ward-7")
    (secret,) = stored(terminal)
    assert "whsec_" not in repr(secret) + str(secret)


def test_looking_at_the_commands_loads_no_server() -> None:
    code = "import sys, mediscan.webhooks; sys.exit('services' in sys.modules or 'shared' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
