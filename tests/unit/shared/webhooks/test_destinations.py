"""Which addresses webhooks may go to."""

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.webhooks.destinations import Destinations, is_public

PRIVATE = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
)
PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8")


@pytest.mark.parametrize("text", PRIVATE)
def test_no_private_or_special_address_is_public(text: str) -> None:
    assert not is_public(ip_address(text))
    assert not Destinations().allows("receiver.example", ip_address(text), tls=True)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are(text: str) -> None:
    assert is_public(ip_address(text))
    assert Destinations().allows("receiver.example", ip_address(text), tls=True)


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_as_itself(address: IPv4Address) -> None:
    for around in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_public(ip_address(around)) == is_public(address)
    assert not is_public(ip_address(f"::{address}"))


@given(st.ip_addresses())
def test_what_is_public_is_nothing_special_to_python_either(address: IPv4Address) -> None:
    if is_public(address):
        inner = address if address.version == 4 else None
        assert inner is None or not (inner.is_private or inner.is_loopback or inner.is_link_local)
        assert not address.is_multicast


def test_without_tls_only_this_machine_and_only_when_asked_for() -> None:
    loopback, public = ip_address("127.0.0.1"), ip_address("8.8.8.8")
    assert not Destinations().allows("localhost", loopback, tls=False)
    asked = Destinations.parse("", http_loopback=True)
    assert asked.allows("localhost", loopback, tls=False)
    assert not asked.allows("localhost", public, tls=False)
    assert not asked.allows("localhost", loopback, tls=True)


@pytest.mark.parametrize(
    ("allowed", "host", "address", "expected"),
    [
        ("hooks.example.org", "hooks.example.org", "8.8.8.8", True),
        ("hooks.example.org", "HOOKS.example.org.", "8.8.8.8", True),
        ("hooks.example.org", "evilhooks.example.org", "8.8.8.8", False),
        ("hooks.example.org", "hooks.example.org", "10.0.0.1", False),
        (".example.org", "a.b.example.org", "8.8.8.8", True),
        (".example.org", "evilexample.org", "8.8.8.8", False),
        ("10.1.0.0/16", "pacs.internal", "10.1.2.3", True),
        ("10.1.0.0/16", "pacs.internal", "10.2.2.3", False),
        ("10.1.0.0/16", "anybody.example", "8.8.8.8", False),
        ("10.1.0.0/16, .example.org", "a.example.org", "8.8.8.8", True),
        ("10.1.0.0/16, .example.org", "pacs.internal", "10.1.2.3", True),
        ("10.1.2.3", "pacs.internal", "10.1.2.3", True),
        ("10.0.0.0/8", "pacs.internal", "::ffff:10.0.0.1", True),
        ("0.0.0.0/0", "metadata", "169.254.169.254", False),
        ("::/0", "metadata", "fe80::1", False),
    ],
)
def test_an_operator_may_narrow_and_open(allowed: str, host: str, address: str, expected: bool) -> None:
    found = Destinations.parse(allowed).allows(host, ip_address(address), tls=True)
    assert found is expected


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/33"):
        Destinations.parse("10.0.0.0/33")
