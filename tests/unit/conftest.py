"""Unit tests touch no network: any socket but a unix one (asyncio's own) fails the test."""

import pytest
from pytest_socket import disable_socket


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup() -> None:
    """Block before each test: pytest-socket unblocks after each."""
    disable_socket(allow_unix_socket=True)
