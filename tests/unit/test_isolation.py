"""Unit tests cannot reach a network, and no setting of the developer reaches them."""

import asyncio
import os
import socket

import pytest
from pytest_socket import SocketBlockedError


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_a_socket_is_refused() -> None:
    with pytest.raises(SocketBlockedError):
        socket.create_connection(("127.0.0.1", 9))


def test_asyncio_still_works() -> None:
    assert asyncio.run(asyncio.sleep(0, result="done")) == "done"


def test_no_setting_is_in_the_environment() -> None:
    assert [name for name in os.environ if name.startswith("MEDISCAN_")] == []
