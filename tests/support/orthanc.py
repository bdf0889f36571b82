"""A PACS of our own: Orthanc with its DICOMweb plugin on free loopback ports, in a temporary folder."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest

from tests.support.waiting import wait_until

_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
#: Another process may take a port between our choosing it and Orthanc's listening there.
_TRIES = 3


def orthanc_program() -> str:
    """Orthanc, with its plugin; skips the test without them, and fails it under `.ci/run`, which installs both."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if program and _PLUGIN.exists():
        return program
    reason = "no Orthanc with its DICOMweb plugin (Debian: orthanc, orthanc-dicomweb)"
    if os.environ.get("SKIP_NOTHING"):
        pytest.fail(reason)
    pytest.skip(reason)


class Orthanc:
    """One running Orthanc, without passwords; it ends, and its folder goes, with the `with` block.

    Its REST API is at `url`, its DICOMweb at `dicomweb_url`, its DICOM port `dicom_port` (AET ORTHANC).
    """

    def __init__(
        self, config: Mapping[str, Any] | None = None, *, scripts: Mapping[str, str] | None = None
    ) -> None:
        """config: laid over ours, section by section. scripts: Lua by file name, loaded at the start."""
        self._program = orthanc_program()
        self._more = dict(config or {})
        self._scripts = dict(scripts or {})
        self.folder = Path(tempfile.mkdtemp(prefix="mediscan-orthanc-"))
        self.http_port = self.dicom_port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(timeout=60)

    @property
    def url(self) -> str:
        """Of its own REST API."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dicomweb_url(self) -> str:
        """Of its DICOMweb services: STOW-RS, QIDO-RS, WADO-RS."""
        return f"{self.url}/dicom-web"

    def __enter__(self) -> Self:
        try:
            self._start_somewhere()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "orthanc.log").read_text(errors="replace")

    # --- what a test does with it -------------------------------------------------------------------------

    def store(self, *files: bytes) -> None:
        """Put DICOM files into it, one by one."""
        for file in files:
            self.http.post("/instances", content=file).raise_for_status()

    def studies(self) -> list[dict[str, Any]]:
        """Every study that it holds, with its main tags and the ids of its series."""
        found: list[dict[str, Any]] = self._get("/studies?expand")
        return found

    def instances(self) -> list[dict[str, Any]]:
        """Every instance that it holds: all attributes by their keywords, values in short."""
        ids: list[str] = self._get("/instances")
        return [self._get(f"/instances/{one}/simplified-tags") for one in ids]

    def files(self) -> list[bytes]:
        """Every instance that it holds, as DICOM Part 10 files."""
        ids: list[str] = self._get("/instances")
        return [self.http.get(f"/instances/{one}/file").raise_for_status().content for one in ids]

    def _get(self, path: str) -> Any:
        return self.http.get(path).raise_for_status().json()

    # --- the process --------------------------------------------------------------------------------------

    def _start_somewhere(self) -> None:
        for _ in range(_TRIES):
            self._start()
            wait_until(lambda: self._answers() or self._is_dead(), timeout_s=60, what="Orthanc answers")
            if not self._is_dead():
                return
        raise AssertionError(f"Orthanc does not start:\n{self.log()}")

    def _start(self) -> None:
        self._stop()
        self.http_port, self.dicom_port = _free_ports(2)
        self.http.base_url = httpx.URL(self.url)
        config = self.folder / "orthanc.json"
        config.write_text(json.dumps(self._config()))
        with (self.folder / "orthanc.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, str(config)], stdout=log, stderr=log, cwd=self.folder
            )

    def _config(self) -> dict[str, Any]:
        for name, text in self._scripts.items():
            (self.folder / name).write_text(text)
        ours: dict[str, Any] = {
            "Name": "PACS",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "StableAge": 1,
            "Plugins": [str(_PLUGIN)],
            "LuaScripts": [str(self.folder / name) for name in self._scripts],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        for section, value in self._more.items():
            is_section = isinstance(ours.get(section), dict)
            ours[section] = {**ours[section], **value} if is_section else value
        return ours

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return self.http.get("/system").is_success
        return False

    def _is_dead(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        self._process = None

    def _end(self) -> None:
        self._stop()
        self.http.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()
