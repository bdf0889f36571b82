"""`python -m mediscan keys`: what it prints where, and what it leaves in the store."""

import json
import subprocess
import sys

import pytest

from tests.unit.mediscan.terminal import Terminal


def test_a_new_key_alone_is_on_standard_output(terminal: Terminal) -> None:
    status, out, err = terminal.run("keys", "create", "--tenant", "ward-7")
    (key,) = terminal.store.all()
    assert (status, out.count("\n")) == (0, 1)
    assert out.startswith(f"mediscan_{key.id}_")
    assert out.strip() not in err
    assert (key.tenant, sorted(key.scopes), key.expires_at) == ("ward-7", ["read", "submit"], None)


def test_every_option_is_kept(terminal: Terminal) -> None:
    options = [
        "--scope",
        "admin",
        "--label",
        "CT-3",
        "--expires",
        "90d",
        "--rate-per-minute",
        "60",
        "--daily-quota",
        "500",
    ]
    made = terminal.json("keys", "create", "--tenant", "ward-7", *options)
    (key,) = terminal.store.all()
    assert key.expires_at
    assert (key.expires_at - key.created_at).days == 90
    assert (made["scopes"], made["label"]) == (["admin"], "CT-3")
    assert (key.rate_per_minute, key.daily_quota) == (60, 500)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--tenant", "Ward 7"],
        ["--tenant", "../x"],
        ["--tenant", "_keys"],
        ["--tenant", "w", "--scope", "god"],
        ["--tenant", "w", "--daily-quota", "0"],
        ["--tenant", "w", "--label", "two\nlines"],
        ["--tenant", "w", "--expires", "soon"],
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_kept(terminal: Terminal, wrong: list[str]) -> None:
    status, out, err = terminal.run("keys", "create", *wrong)
    assert status in {1, 2}
    assert out == ""
    assert "Traceback" not in err
    assert terminal.store.all() == []


def test_the_list_shows_states_and_no_secret(terminal: Terminal) -> None:
    first, second, third = (terminal.json("keys", "create", "--tenant", f"t{n}") for n in range(3))
    terminal.run("keys", "revoke", second["id"])
    terminal.run("keys", "rotate", third["id"], "--overlap", "0s")
    _, out, _ = terminal.run("keys", "list")
    lines = {line.split()[0]: line.split()[1] for line in out.splitlines()}
    assert len(lines) == 4
    assert [lines[made["id"]] for made in (first, second, third)] == ["valid", "revoked", "expired"]
    for made in (first, second, third):
        assert made["key"].split("_")[2] not in out + json.dumps(terminal.json("keys", "list"))


def test_rotation_makes_two_valid_keys_at_once(terminal: Terminal) -> None:
    old = terminal.json("keys", "create", "--tenant", "ward-7", "--scope", "submit")
    new = terminal.json("keys", "rotate", old["id"], "--overlap", "7d")
    assert (new["tenant"], new["scopes"], new["expires_at"]) == ("ward-7", ["submit"], None)
    states = {key["id"]: key["state"] for key in terminal.json("keys", "list")}
    assert states == {old["id"]: "valid", new["id"]: "valid"}
    assert [key.expires_at is None for key in terminal.store.all()] == [False, True]


def test_a_key_that_is_over_is_not_rotated_and_one_that_is_not_there_not_found(terminal: Terminal) -> None:
    made = terminal.json("keys", "create", "--tenant", "ward-7")
    for _ in range(2):
        assert terminal.run("keys", "revoke", made["id"])[0] == 0
    for command in (["rotate", made["id"]], ["revoke", "0" * 12], ["rotate", "../../probe"]):
        status, out, err = terminal.run("keys", *command)
        assert (status, out) == (1, "")
        assert err.startswith("mediscan: ")
        assert err.count("\n") == 1


def test_help_needs_no_server_code() -> None:
    script = (
        "import sys; sys.argv=['x','keys','create','--help']; import mediscan.__main__ as m\n"
        "try: m.main()\nexcept SystemExit: pass\n"
        "print([n for n in sys.modules if n.startswith(('services', 'obstore', 'celery', 'fastapi'))])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
