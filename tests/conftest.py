"""For every test: no setting leaks in from the developer's environment."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.upper().startswith("MEDISCAN_")]:
        monkeypatch.delenv(variable)
