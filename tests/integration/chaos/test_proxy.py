"""The wire that is cut: what it does to those who talk over it."""

import socket
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.chaos.proxy import Proxy
from tests.support.valkey import Server


@pytest.fixture
def wire(valkey: Server) -> Iterator[Proxy]:
    with Proxy(valkey.socket) as proxy:
        yield proxy


@pytest.fixture
def client(wire: Proxy) -> Iterator["redis.Redis"]:
    with redis.Redis(
        unix_socket_path=str(wire.socket), socket_timeout=0.5, retry=Retry(NoBackoff(), 0)
    ) as opened:
        yield opened


def test_it_forwards_both_ways(client: "redis.Redis") -> None:
    client.set("name", "x" * 1_000_000)
    assert client.strlen("name") == 1_000_000


def test_held_it_lets_nothing_pass_until_it_is_healed(wire: Proxy, client: "redis.Redis") -> None:
    client.ping()
    wire.is_held = True
    with pytest.raises(redis.exceptions.TimeoutError):
        client.ping()
    wire.heal()
    assert client.ping()


def test_cut_it_ends_every_connection_and_takes_new_ones(wire: Proxy, client: "redis.Redis") -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(5)
        raw.connect(str(wire.socket))
        raw.sendall(b"PING\r\n")
        assert raw.recv(100) == b"+PONG\r\n"
        wire.cut()
        assert raw.recv(100) == b""
    assert client.ping()


def test_a_lost_answer_is_to_something_that_was_done(
    wire: Proxy, client: "redis.Redis", valkey: Server
) -> None:
    client.ping()
    wire.lost_answers = 1.0
    with pytest.raises(redis.exceptions.ConnectionError):
        client.incr("count")
    with valkey.client() as direct:
        assert direct.get("count") == "1"


def test_a_server_that_is_away_refuses_through_it_too(client: "redis.Redis", valkey: Server) -> None:
    valkey.stop()
    with pytest.raises(redis.exceptions.ConnectionError):
        client.ping()
    valkey.start()
