"""`mediscan top` against the real cluster: once, as JSON, and live on a terminal until Ctrl-C."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from mediscan import contracts
from tests.integration.mediscan.shell import ROOT, environment, run
from tests.support.cluster import Cluster
from tests.support.images import scan


def test_the_client_sees_the_house(cluster: Cluster, connect: Callable[..., Any]) -> None:
    view = connect(cluster.url).cluster()
    assert view.reaper_alive
    assert {stage: workers.nodes for stage, workers in view.workers.items()} == {
        "ml": 1,
        "gemini": 1,
        "fusion": 1,
    }


def test_once_is_plain_lines(cluster: Cluster) -> None:
    cluster.run(scan())
    done = run(cluster.url, "top", "--once")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    for part in (
        "unfinished",
        "ended in the last minute",
        "routine",
        "reaper    alive",
        "circuit closed",
        "(default)",
    ):
        assert part in done.stdout


def test_json_is_the_servers_own_message(cluster: Cluster) -> None:
    [line] = run(cluster.url, "top", "--once", "--json").stdout.splitlines()
    assert contracts.ClusterView.model_validate(json.loads(line)).reaper_alive


def test_on_a_terminal_it_is_live_until_it_is_stopped(cluster: Cluster) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mediscan", "top", "--every", "1"],
        env={**environment(cluster.url), "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while seen.count(b"unfinished") < 2:  # it looked again
            seen += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"\x1b[?1049h" in seen, "it takes a screen of its own, and gives the old one back"
