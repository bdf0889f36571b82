"""The compose profile `observability`: Prometheus finds every container, and its rules are taken."""

import json
from typing import Any

import pytest

from tests.e2e.stack import PYTHON_SERVICES, Stack, docker
from tests.support.waiting import wait_until

_ASK = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"


@pytest.fixture(scope="module")
def prometheus(stack: Stack) -> Stack:
    """The stack with Prometheus beside it."""
    stack.watch()
    return stack


def ask(stack: Stack, path: str) -> Any:
    """What Prometheus answers a container of its network; nobody else reaches it."""
    url = f"http://prometheus:9090/api/v1/{path}"
    answer = json.loads(docker("exec", stack.container("gateway"), "python", "-c", _ASK, url))
    assert answer["status"] == "success"
    return answer["data"]


def test_every_container_is_scraped(prometheus: Stack) -> None:
    def up() -> set[str]:
        targets = ask(prometheus, "targets")["activeTargets"]
        return {target["labels"]["service"] for target in targets if target["health"] == "up"}

    wait_until(lambda: up() == set(PYTHON_SERVICES), timeout_s=90, what="every service is scraped")


def test_every_rule_is_evaluated(prometheus: Stack) -> None:
    def states() -> list[str]:
        groups = ask(prometheus, "rules")["groups"]
        return [rule["health"] for group in groups for rule in group["rules"]]

    wait_until(lambda: states() and "unknown" not in states(), timeout_s=60, what="the rules are evaluated")
    assert set(states()) == {"ok"}
