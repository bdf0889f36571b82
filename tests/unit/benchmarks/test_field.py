"""How a peer is asked, without the peer."""

from collections.abc import Iterator

import pytest

from benchmarks.field import BentoTask
from benchmarks.http_client import Answer


@pytest.fixture
def tasks() -> Iterator[BentoTask]:
    peer = BentoTask()
    yield peer
    peer.close()


def test_a_task_that_runs_is_asked_for_again(tasks: BentoTask) -> None:
    assert not tasks.is_result(Answer(400, b'{"error":"task 1 is not completed yet"}'))
    assert tasks.is_result(Answer(200, b'{"label":"Negative"}'))


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_task_that_failed_is_not_asked_for_again(tasks: BentoTask, status: int) -> None:
    with pytest.raises(RuntimeError, match=f"BentoML tasks: {status}"):
        tasks.is_result(Answer(status, b'{"error":"what went wrong"}'))


def test_each_server_has_a_port_and_a_home_of_its_own(tasks: BentoTask) -> None:
    commands = tasks.commands().values()

    assert [int(command[-1]) for command in commands] == list(tasks.ports())
    assert len(set(tasks.ports())) == len({command[1] for command in commands}) == 2
