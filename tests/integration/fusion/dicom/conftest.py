"""An exporter over a real ledger and a real blob store."""

from pathlib import Path

import pytest

from tests.integration.fusion.dicom.house import House
from tests.support.jobs import Jobs


@pytest.fixture
def house(jobs: Jobs, tmp_path: Path) -> House:
    return House(jobs, tmp_path / "blobs")
