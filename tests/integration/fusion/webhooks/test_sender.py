"""One attempt against receivers that behave badly, and names that stand for more than they should."""

import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from services.fusion.webhooks.network import resolve
from services.fusion.webhooks.sender import Answer, Sender
from shared.contracts import DeliveryOutcome
from shared.webhooks.destinations import Address, Destinations
from tests.support.certificates import Authority
from tests.support.receiver import Behaviour, Receiver, answers, cuts, drips, floods, hangs

LOCAL = Destinations.parse("", http_loopback=True)
#: What an operator lists who has a receiver on this very machine, with TLS.
LISTED = Destinations.parse("127.0.0.0/8")


def send(url: str, *, destinations: Destinations = LOCAL, timeout_s: float = 10) -> Answer:
    return Sender(destinations, timeout_s=timeout_s).send(url, {"webhook-id": "msg_1"}, b"{}")


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (answers(200), Answer(DeliveryOutcome.DELIVERED, 200)),
        (answers(204), Answer(DeliveryOutcome.DELIVERED, 204)),
        (answers(410), Answer(DeliveryOutcome.GONE, 410)),
        (answers(404), Answer(DeliveryOutcome.REJECTED, 404)),
        (answers(500), Answer(DeliveryOutcome.REJECTED, 500)),
        (answers(503, "Retry-After: 120"), Answer(DeliveryOutcome.REJECTED, 503, 120)),
        (answers(429, "Retry-After: soon"), Answer(DeliveryOutcome.REJECTED, 429)),
        (
            answers(429, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"),
            Answer(DeliveryOutcome.REJECTED, 429, 0),
        ),
        (floods, Answer(DeliveryOutcome.DELIVERED, 200)),
        (cuts, Answer(DeliveryOutcome.CONNECTION)),
    ],
)
def test_what_the_receiver_does_is_told_by_its_status_alone(behaviour: Behaviour, expected: Answer) -> None:
    with Receiver(behaviour) as receiver:
        assert send(receiver.url) == expected
        (request,) = receiver.received
    assert request.line == "POST /hook?to=x HTTP/1.1"
    assert request.body == b"{}"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("behaviour", [hangs, drips])
def test_an_attempt_ends_in_time_whatever_the_receiver_does(behaviour: Behaviour) -> None:
    with Receiver(behaviour) as receiver:
        assert send(receiver.url, timeout_s=0.5) == Answer(DeliveryOutcome.TIMEOUT)


def test_no_redirect_is_followed() -> None:
    with Receiver() as inner, Receiver(answers(307, f"Location: {inner.url}")) as receiver:
        assert send(receiver.url) == Answer(DeliveryOutcome.REDIRECTED, 307)
        assert inner.connections == 0


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert send(receiver.url).outcome is DeliveryOutcome.DELIVERED
        assert proxy.connections == 0


def test_nothing_goes_to_a_private_address() -> None:
    with Receiver() as receiver:
        for host in ("localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001"):
            answer = send(f"https://{host}:{receiver.port}/", destinations=Destinations())
            assert answer == Answer(DeliveryOutcome.ADDRESS_REFUSED), host
        assert receiver.connections == 0


def test_one_bad_address_among_good_ones_is_enough() -> None:
    def both(_host: str, _port: int) -> list[Address]:
        return [ip_address("8.8.8.8"), ip_address("127.0.0.1")]

    with Receiver() as receiver:
        sender = Sender(Destinations(), timeout_s=5, resolve=both)
        answer = sender.send(f"https://hooks.example.org:{receiver.port}/", {}, b"{}")
        assert (answer.outcome, receiver.connections) == (DeliveryOutcome.ADDRESS_REFUSED, 0)


def test_a_name_that_changes_its_address_is_asked_once_and_the_checked_one_is_used(tmp_path: Path) -> None:
    asked = []

    def rebinding(host: str, _port: int) -> list[Address]:
        asked.append(host)
        return [ip_address("127.0.0.1" if len(asked) == 1 else "127.9.9.9")]

    authority = Authority(tmp_path)
    with Receiver(tls=authority.sign_name("hooks.example.org")) as receiver:
        sender = Sender(LISTED, timeout_s=10, ca_file=authority.file, resolve=rebinding)
        answer = sender.send(f"https://hooks.example.org:{receiver.port}/", {}, b"{}")
        assert (answer.outcome, asked) == (DeliveryOutcome.DELIVERED, ["hooks.example.org"])
        assert receiver.received[0].headers["host"] == f"hooks.example.org:{receiver.port}"


def test_each_attempt_checks_anew() -> None:
    turns = iter(["127.0.0.1", "169.254.169.254"])
    with Receiver() as receiver:
        sender = Sender(LOCAL, timeout_s=10, resolve=lambda _host, _port: [ip_address(next(turns))])
        url = f"http://rebinding.example:{receiver.port}/"
        assert sender.send(url, {}, b"{}").outcome is DeliveryOutcome.DELIVERED
        assert sender.send(url, {}, b"{}").outcome is DeliveryOutcome.ADDRESS_REFUSED


@pytest.mark.parametrize("signed", ["another authority", "another name"])
def test_a_certificate_that_does_not_fit_is_refused_and_nothing_is_sent(tmp_path: Path, signed: str) -> None:
    ours, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other", "somebody else")
    tls = other.sign("127.0.0.1") if signed == "another authority" else ours.sign_name("hooks.example.org")
    with Receiver(tls=tls) as receiver:
        sender = Sender(LISTED, timeout_s=10, ca_file=ours.file)
        assert sender.send(receiver.url, {}, b"{}") == Answer(DeliveryOutcome.CONNECTION)
        assert receiver.received == []


def test_nobody_there_and_no_such_name_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/") == Answer(DeliveryOutcome.CONNECTION)

    def nowhere(_host: str, _port: int) -> list[Address]:
        raise socket.gaierror

    sender = Sender(Destinations(), timeout_s=5, resolve=nowhere)
    assert sender.send("https://nowhere.example/", {}, b"{}") == Answer(DeliveryOutcome.UNRESOLVED)


def test_the_system_knows_this_machine() -> None:
    assert ip_address("127.0.0.1") in resolve("localhost", 80)
