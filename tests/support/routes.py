"""For tests of the client that wait for a route of the server."""

import re

import pytest

from tests.support.cluster import Cluster


def need(cluster: Cluster, *routes: str) -> None:
    """Skip where the gateway does not offer all of these, each like `GET /v1/jobs`."""
    paths = cluster.http.get("/openapi.json").json()["paths"]
    offered = {_plain(f"{method.upper()} {path}") for path, methods in paths.items() for method in methods}
    if absent := [route for route in routes if _plain(route) not in offered]:
        pytest.skip(f"the gateway does not offer {', '.join(absent)}")


def _plain(route: str) -> str:
    """Whatever its parameters are called."""
    return re.sub(r"{\w+}", "{}", route)
