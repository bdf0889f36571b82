"""Runs a page of the docs as it is printed: its commands in the order and in one shell, its outputs compared in shape.

A fenced block says by its language what it is:

- `sh`: commands; `text` right after it: what they print on standard output, `…` alone on a line for any lines.
- any language, with `# name.ext` as its first or second line: a file of that name that the reader is told to save.
- all others are to look at.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"^(?:#!.*\n)?# ([\w-]+\.(?:py|sh))$", re.MULTILINE)
_MARK = "--- block {} ends ---"
_ANY = "…"
#: For a whole page, on a busy machine.
_PATIENCE_S = 240
#: What differs from run to run: ids, times, numbers, and with them the gauge.
_VARIES = (
    (re.compile(r"(job|batch|msg)_[0-9a-f]{32}"), r"\1_ID"),
    (re.compile(r"scan-[0-9a-f]+"), "scan-ID"),
    (re.compile(r"\[[#. ]+\]"), "[BAR]"),
    (re.compile(r"[0-9]+(?:[.,:-][0-9]+)*"), "0"),
)


@dataclass
class Step:
    """Commands, and what they are said to print; None where nothing is said."""

    commands: str
    prints: str | None = None


@dataclass
class Printed:
    """What is on a page."""

    steps: list[Step] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, page: Path) -> "Printed":
        """Parse the page."""
        found = cls()
        for language, text in _FENCE.findall(page.read_text()):
            if named := _NAME.match(text):
                found.files[named.group(1)] = text
            elif language == "sh":
                found.steps.append(Step(text))
            elif language == "text" and found.steps:
                found.steps[-1].prints = text
        return found


def run(page: Path, folder: Path, *, environment: Mapping[str, str], instead: Mapping[str, str]) -> list[str]:
    """Do what the page says in `folder`; for each of its `sh` blocks what came on standard output.

    instead: what stands on the page -> what it is here, such as the server's address. AssertionError where a command
    fails, or prints something else than is promised.
    """
    printed = Printed.read(page)
    for name, text in printed.files.items():
        (folder / name).write_text(_replaced(text, instead))
    marked = "".join(
        f"{_replaced(step.commands, instead)}\necho {_MARK.format(number)!r}\n"
        for number, step in enumerate(printed.steps)
    )
    said = _run_in_a_shell(marked, folder, environment)
    back = {here: there for there, here in instead.items()}
    outputs = re.split(_MARK.format("[0-9]+") + "\n", _replaced(said, back))[:-1]
    for step, output in zip(printed.steps, outputs, strict=True):
        if step.prints is not None:
            assert_alike(step.prints, output)
    return outputs


def _run_in_a_shell(commands: str, folder: Path, environment: Mapping[str, str]) -> str:
    """What came on standard output. Whatever the commands left running ends with them."""
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            said, complained = shell.communicate(timeout=_PATIENCE_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, f"{said}{complained}"
    return said


def assert_alike(promised: str, found: str) -> None:
    """The same lines, whatever numbers, ids and gauges are in them."""
    pattern = "".join(_line_pattern(line) for line in promised.splitlines())
    assert re.fullmatch(pattern, "".join(f"{line}\n" for line in map(shape, found.splitlines()))), (
        f"the page promises\n{promised}\nand it is\n{found}"
    )


def shape(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, plain in _VARIES:
        line = pattern.sub(plain, line)
    return line.rstrip()


def _line_pattern(line: str) -> str:
    return r"(?:.*\n)*?" if line.strip() == _ANY else f"{re.escape(shape(line))}\n"


def _replaced(text: str, instead: Mapping[str, str]) -> str:
    for there, here in instead.items():
        text = text.replace(there, here)
    return text
