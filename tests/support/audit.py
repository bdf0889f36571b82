"""`python -m tests.support.audit`: pip-audit over every lock file, against PyPI's list of known vulnerabilities.

Findings that are judged not to matter here stand in requirements/audit-ignore.txt, each with a date and a reason.
An index that does not know vulnerabilities (a mirror, or no network) would make every package look sound. So it is
first asked for one that is known for sure; if it does not tell, nothing is audited, and one line says so. That is an
error only with `AUDIT=required` in the environment.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

_LOCKS = Path(__file__).parents[2] / "requirements"
_IGNORED = _LOCKS / "audit-ignore.txt"
#: What others need, who run beside us in a benchmark, on loopback: none of it is ours.
_PEERS = _LOCKS / "bench.txt"

#: CVE-2014-0012 and others.
_KNOWN_BAD = "jinja2==2.7.1"
_TIMEOUT_S = 10
_LONGEST_S = 300

_AUDIT = (
    sys.executable,
    *("-m", "pip_audit", "--disable-pip", "--progress-spinner", "off", "--timeout", str(_TIMEOUT_S)),
)

#: `ID until YYYY-MM-DD: reason`
_IGNORE = re.compile(r"(?P<id>\S+) until (?P<until>\d{4}-\d{2}-\d{2}): (?P<reason>\S.*)")


def main() -> int:
    """Audit; the exit status."""
    unknown = why_unknown(told_of(_KNOWN_BAD))
    if unknown:
        print(f"audit: not done, {unknown}")  # noqa: T201 - for whoever ran it
        return int(os.environ.get("AUDIT") == "required")
    ignored = ignored_today(_IGNORED.read_text(), date.today())  # noqa: DTZ011 - a day is enough
    return subprocess.run(
        command(sorted(set(_LOCKS.glob("*.txt")) - {_PEERS}), ignored), check=False, timeout=_LONGEST_S
    ).returncode


def told_of(pinned: str) -> str:
    """What pip-audit prints of one package at one version, as JSON; empty where it could ask nobody."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(pinned)
        file.flush()
        asked = [*_AUDIT, "--no-deps", "--format", "json", "-r", file.name]
        return subprocess.run(asked, check=False, timeout=_LONGEST_S, capture_output=True, text=True).stdout


def why_unknown(told: str) -> str | None:
    """Why the list of vulnerabilities cannot be had; None where it can. told: of a release that is in it."""
    try:
        packages = json.loads(told)["dependencies"]
    except (ValueError, KeyError):
        return "PyPI's list of vulnerabilities cannot be reached from here"
    known = any(package.get("vulns") for package in packages)
    return None if known else "this index knows no vulnerabilities"


def ignored_today(text: str, today: date) -> list[str]:
    """The ids in the ignore list whose day has not passed; ValueError for a line without date or reason."""
    lines = [line.strip() for line in text.splitlines()]
    found = [_IGNORE.fullmatch(line) for line in lines if line and not line.startswith("#")]
    if not all(found):
        raise ValueError("audit-ignore.txt: each line is `ID until YYYY-MM-DD: reason`")
    return [entry["id"] for entry in found if entry and date.fromisoformat(entry["until"]) >= today]


def command(locks: list[Path], ignored: list[str]) -> list[str]:
    """pip-audit's command line: what the locks name, resolved by nobody, installed nowhere."""
    given = [part for lock in locks if lock.name != _IGNORED.name for part in ("-r", str(lock))]
    told = [part for vulnerability in ignored for part in ("--ignore-vuln", vulnerability)]
    return [*_AUDIT, "--require-hashes", *given, *told]


if __name__ == "__main__":
    sys.exit(main())
