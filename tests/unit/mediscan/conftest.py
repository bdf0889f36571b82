"""For tests of the operators' commands."""

from pathlib import Path

import pytest

from tests.unit.mediscan.terminal import Terminal


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """Over a blob store of the test's own."""
    monkeypatch.setenv("MEDISCAN_BLOB_URL", f"file://{tmp_path}")
    return Terminal(tmp_path, monkeypatch, capsys)
