"""One cluster for all tests of this folder, and both clients."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from mediscan import AsyncClient, Client
from tests.integration.mediscan.on_loop import OnLoop
from tests.support.cluster import Cluster
from tests.support.trouble import Trouble


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Gateway and workers, without Gemini; webhooks may go to this machine."""
    with Cluster(WEBHOOK_HTTP_LOOPBACK="true") as running:
        yield running


@pytest.fixture
def trouble(cluster: Cluster) -> Iterator[Trouble]:
    """A proxy before the cluster's gateway."""
    with Trouble(cluster.url) as proxy:
        yield proxy


@pytest.fixture(params=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Make clients with arguments of the test's choice, of either kind; closed when the test ends."""
    with ExitStack() as opened:
        if request.param == "blocking":
            yield lambda *args, **kwargs: opened.enter_context(Client(*args, **kwargs))
        else:
            runner = opened.enter_context(asyncio.Runner())
            yield lambda *args, **kwargs: opened.enter_context(OnLoop(AsyncClient(*args, **kwargs), runner))
