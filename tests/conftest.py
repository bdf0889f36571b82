"""For every test: nothing leaks in from outside, no setting and no ignored signal."""

import os
import signal

import pytest

# A shell that starts the tests in the background has them ignore this, and so would every program that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.upper().startswith("MEDISCAN_")]:
        monkeypatch.delenv(variable)
