"""What the reaper refuses to start with."""

import pytest

from services.fusion.settings import FusionSettings
from shared.errors import SetupError
from shared.settings import load


def test_results_of_copies_are_sent_to_no_pacs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_DICOM_STORE", "deidentified")
    assert load(FusionSettings).dicom_store == "deidentified"
    monkeypatch.setenv("MEDISCAN_PACS_URL", "https://pacs.ward/dicom-web")
    with pytest.raises(SetupError, match="pacs_url cannot be used with dicom_store=deidentified"):
        load(FusionSettings)
