"""The tutorial, exactly as printed: `make run`, then every command, each output compared in shape."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.docs.conftest import ROOT
from tests.support import printed
from tests.support.waiting import wait_until

_PAGE = ROOT / "docs" / "tutorial.md"
_THERE = "http://127.0.0.1:8000"
_UP = re.compile(r"MediScan is up at (http://\S+) \(interactive API: \S+\)")


def test_make_run_is_what_the_test_runs() -> None:
    recipe = re.search(r"^run: .*\n\t@?(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    assert recipe.group(1) == "$(BIN)/python -m embedded run"
    assert "```shell\nmake run\n```" in _PAGE.read_text()


@contextmanager
def up(folder: Path) -> Iterator[str]:
    """`make run` in the folder, on any free port: the address that it prints."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MEDISCAN_")}
    said = folder / "run.log"
    with said.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "embedded", "run"],
            cwd=folder,
            env={**ours, "MEDISCAN_PORT": "0", "PYTHONUNBUFFERED": "1"},
            stdout=log,
            stderr=log,
        )

    def address() -> str | None:
        assert process.poll() is None, said.read_text()
        found = _UP.search(said.read_text())
        return found.group(1) if found else None

    try:
        found = wait_until(address, timeout_s=120, what="the cluster is up")
        assert found is not None
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert "every process has stopped" in said.read_text()


def test_every_command_does_what_the_page_says(checkout: Path) -> None:
    with up(checkout) as url:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("MEDISCAN_")}
        wide = {**ours, "COLUMNS": "100"}  # as the page shows
        printed.run(_PAGE, checkout, environment=wide, instead={_THERE: url})
    assert (checkout / "heatmap.png").read_bytes().startswith(b"\x89PNG")
    assert _UP.search(_PAGE.read_text()), "what it prints when it is up stands on the page"
