"""One stack for all tests of this folder, taken down whatever happens."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.stack import Stack, find_compose


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    compose = find_compose()
    if compose is None:
        pytest.skip("no Docker engine with compose answers here (docker info, docker compose version)")
    made = Stack(compose, tmp_path_factory.mktemp("stack"))
    try:
        _say("build", lambda: made.compose("build"))
        _say("start", made.up)
        yield made
    finally:
        made.down()


def _say(what: str, do: Callable[[], object]) -> None:
    """Run a slow step and print how long it took; `make e2e ARGS=-s` shows it."""
    start = time.monotonic()
    do()
    print(f"\n{what}: {time.monotonic() - start:.0f} s")  # noqa: T201 - for whoever waits
