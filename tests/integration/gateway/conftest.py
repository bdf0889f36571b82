"""One gateway process for all tests of this folder, emptied before each."""

from collections.abc import Iterator

import pytest

from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House

#: Small, so that tests of the limits need little data; still above the 1 MiB that is read before storing.
MAX_UPLOAD_BYTES = 3 << 20


@pytest.fixture(scope="session")
def _house_process() -> Iterator[House]:
    with House(max_upload_bytes=MAX_UPLOAD_BYTES, upload_timeout_s=1) as house:
        yield house


@pytest.fixture
def house(_house_process: House) -> House:
    """A running gateway with nothing in its stores; the test may stop and restart its servers."""
    _house_process.reset()
    return _house_process


@pytest.fixture(scope="session")
def _guarded_process() -> Iterator[House]:
    with House(auth="keys", key_cache_s=0.3) as house:
        yield house


@pytest.fixture
def guarded(_guarded_process: House) -> Guarded:
    _guarded_process.reset()
    return Guarded(_guarded_process)
