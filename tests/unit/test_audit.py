"""The audit of the locks cannot be fooled by an index without vulnerabilities, nor by an old excuse."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.support import audit

_TODAY = date(2026, 11, 22)


def test_an_excuse_holds_until_its_day() -> None:
    text = "# why\n\nPYSEC-1 until 2026-11-22: we never call it\nPYSEC-2 until 2026-11-21: was hoped for\n"
    assert audit.ignored_today(text, _TODAY) == ["PYSEC-1"]


@pytest.mark.parametrize("line", ["PYSEC-1", "PYSEC-1 until 2026-11-22:", "PYSEC-1: no date"])
def test_an_excuse_has_a_date_and_a_reason(line: str) -> None:
    with pytest.raises(ValueError, match="audit-ignore"):
        audit.ignored_today(line, _TODAY)


def test_the_list_that_is_there_can_be_read() -> None:
    audit.ignored_today(audit._IGNORED.read_text(), _TODAY)


@pytest.mark.parametrize(
    ("package", "why"),
    [
        ({"name": "jinja2", "version": "2.7.1", "vulns": [{"id": "CVE-2014-0012"}]}, None),
        ({"name": "jinja2", "version": "2.7.1", "vulns": []}, "knows no vulnerabilities"),
        ({"name": "jinja2", "skip_reason": "not found"}, "knows no vulnerabilities"),
    ],
)
def test_an_index_is_believed_only_if_it_knows_the_known(package: dict[str, object], why: str | None) -> None:
    said = audit.why_unknown(json.dumps({"dependencies": [package]}))
    assert said is None if why is None else why in str(said)


@pytest.mark.parametrize("told", ["", "<html>", "{}"])
def test_an_index_that_is_away_or_answers_nonsense_is_said(told: str) -> None:
    assert "cannot be reached" in str(audit.why_unknown(told))


@pytest.mark.parametrize(("variable", "status"), [("", 0), ("required", 1)])
def test_without_a_list_it_fails_only_where_one_is_required(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    status: int,
) -> None:
    monkeypatch.setattr(audit, "told_of", lambda _: "")
    monkeypatch.setenv("AUDIT", variable)
    assert audit.main() == status
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_every_lock_is_audited_as_it_is() -> None:
    locks = sorted(audit._LOCKS.glob("*.txt"))
    made = audit.command(locks, ["PYSEC-1"])
    assert {Path(part).stem for part in made if part.endswith(".txt")} >= {"gateway", "ml_worker", "test"}
    assert str(audit._IGNORED) not in made
    assert made[-2:] == ["--ignore-vuln", "PYSEC-1"]
    options = {part for part in made if part.startswith("--")}
    known = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert [option for option in options if option not in known] == []
