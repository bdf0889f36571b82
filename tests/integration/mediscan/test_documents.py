"""Every example in the pages of the client and the command line is run, against the real cluster."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.mediscan.shell import ROOT, environment
from tests.support.cluster import Cluster
from tests.support.images import scan
from tests.support.routes import need

#: What an example calls, and the route that it takes.
_NEEDS = {"submit_batch": "POST /v1/batches", "mediscan list": "GET /v1/jobs"}


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the examples find around them, `mediscan` and `jq` among it."""
    (tmp_path / "slices").mkdir()
    for name in ("scan.png", "scan2.png", "slices/one.png", "slices/two.png"):
        (tmp_path / name).write_bytes(scan())
    commands = {
        "mediscan": f'exec "{sys.executable}" -m mediscan "$@"',
        "jq": f'''exec "{sys.executable}" -c "import json,sys; print(json.load(sys.stdin)['id'])"''',
    }
    for name, script in commands.items():
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
    return tmp_path


def run(cluster: Cluster, command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    ours = environment(cluster.url)
    ours["PATH"] = f"{folder / 'bin'}:{ours['PATH']}"
    return subprocess.run(
        command, cwd=folder, env=ours, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("number", range(len(blocks("docs/client.md", "python"))))
def test_python_examples(cluster: Cluster, folder: Path, number: int) -> None:
    code = blocks("docs/client.md", "python")[number]
    need(cluster, *(route for call, route in _NEEDS.items() if call in code))
    done = run(cluster, [sys.executable, "-W", "error", "-c", code], folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "completed" in done.stdout or "Not a diagnosis" in done.stdout


@pytest.mark.parametrize("number", range(len(blocks("docs/cli.md", "sh"))))
def test_shell_examples(cluster: Cluster, folder: Path, number: int) -> None:
    script = blocks("docs/cli.md", "sh")[number]
    need(cluster, *(route for call, route in _NEEDS.items() if call in script))
    # The address and the key of the page are examples; ours are in the environment.
    script = re.sub(r"^export .*\n", "", script, flags=re.MULTILINE)
    done = run(cluster, [shutil.which("bash") or "bash", "-euc", script], folder)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_has_its_line() -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "mediscan", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    listed = help_text.partition("Commands:")[2].partition("Exit status")[0]
    commands = set(re.findall(r"^  (\w+) ", listed, re.MULTILINE))
    page = (ROOT / "docs/cli.md").read_text()
    assert {"submit", "doctor", "batch"} <= commands
    assert [name for name in sorted(commands) if f"`{name}" not in page.partition("## All commands")[2]] == []
