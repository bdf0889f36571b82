"""The command line, run in this process."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mediscan.__main__ import main
from services.gateway.key_store import KeyStore
from shared.blob_store import BlobStore


class Terminal:
    """Runs commands in this process, over a blob store of the test's own."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self.blobs = BlobStore.open(f"file://{folder}")
        self.store = KeyStore(self.blobs)
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        self._monkeypatch.setattr(sys, "argv", ["mediscan", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capsys.readouterr()
        return int(ended.value.code or 0), out, err

    def json(self, *arguments: str) -> Any:
        status, out, err = self.run(*arguments, "--json")
        assert status == 0, err
        return json.loads(out)
