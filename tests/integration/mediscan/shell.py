"""The command line in this process (typer's runner), in one of its own, and on a terminal."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from mediscan.cli.app import app

ROOT = Path(__file__).parents[3]


def run(url: str, *arguments: str, stdin: bytes = b"") -> Result:
    """In this process, not on a terminal."""
    return CliRunner().invoke(app, list(arguments), env={"MEDISCAN_URL": url}, input=stdin)


def spawn(url: str, *arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """As somebody's script would."""
    return subprocess.run(
        [sys.executable, "-m", "mediscan", *arguments],
        env=environment(url),
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def on_terminal(url: str, *arguments: str, folder: Path) -> tuple[int, str]:
    """On a terminal of 100 columns: status, and all that was written to it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mediscan", *arguments],
        env={**environment(url), "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:
        pass  # Linux says EIO where the other side of a terminal is closed
    finally:
        os.close(ours)
    return process.wait(30), seen.decode()


def environment(url: str) -> dict[str, str]:
    """Ours, with the server in it."""
    return {**os.environ, "MEDISCAN_URL": url, "PYTHONPATH": str(ROOT)}
