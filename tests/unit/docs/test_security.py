"""docs/security.md names a test for every threat, and each of them exists."""

import re
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_PAGE = (_ROOT / "docs" / "security.md").read_text()
_NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", _PAGE)


def test_every_named_test_exists() -> None:
    assert _NAMED
    missing = [f"{file}::{name}" for file, name in _NAMED if not _defines(_ROOT / file, name)]
    assert missing == []


def test_every_threat_has_an_answer_and_a_test() -> None:
    table = _PAGE.split("## Threats")[1].split("## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 10
    for row in rows:
        threat, answer, shown_by = (cell.strip() for cell in row)
        assert threat
        assert answer
        assert "::test_" in shown_by, threat


def test_whoever_finds_something_is_told_where_to_go() -> None:
    page = (_ROOT / "SECURITY.md").read_text()
    assert "Report a vulnerability" in page
    assert "docs/security.md" in page


def _defines(file: Path, name: str) -> bool:
    return file.is_file() and re.search(rf"^(async )?def {name}\(", file.read_text(), re.M) is not None
