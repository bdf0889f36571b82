"""How a process of a cluster is started: from the project's root, in a session of its own, its words in a file."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


def launch(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `command` with `environment` on top of ours; what it writes is added to `log`."""
    with log.open("ab") as words:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            cwd=ROOT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
