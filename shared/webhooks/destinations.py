"""Where webhooks may go. Pure: who connects asks here about every address that a name stands for.

What is public is what the Internet routes to. Addresses that carry another one inside (IPv4-mapped, NAT64) are judged
by that one; tunnels that could lead anywhere (6to4, Teredo, IPv4-compatible) are never public.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: RFC 6052: the last 32 bits are an IPv4 address.
_NAT64 = IPv6Network("64:ff9b::/96")
#: All that is given out as global unicast (IANA, IPv6 Global Unicast Address Assignments).
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_SPECIAL = (
    IPv6Network("2001::/32"),  # Teredo
    IPv6Network("2002::/16"),  # 6to4
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("192.0.0.0/24"),  # protocol assignments, of which Python 3.11 calls some global
)
#: RFC 9637; Python 3.11 does not know it yet.
_DOCUMENTATION = IPv6Network("3fff::/20")


@dataclass(frozen=True)
class Destinations:
    """Where the operator lets webhooks go; by default to every public address."""

    #: Host names in lower case; one that begins with a dot stands for all names that end so.
    names: tuple[str, ...] = ()
    networks: tuple[Network, ...] = field(default=())
    #: Whether `http://` may be used, to this very machine.
    http_loopback: bool = False

    @classmethod
    def parse(cls, given: str, *, http_loopback: bool = False) -> Self:
        """Read hosts, `.suffixes` and networks with commas between; ValueError where one is none of these."""
        parts = [part.strip().lower() for part in given.split(",") if part.strip()]
        networks = [part for part in parts if "/" in part or _is_address(part)]
        return cls(
            names=tuple(part.rstrip(".") for part in parts if part not in networks),
            networks=tuple(ip_network(part) for part in networks),
            http_loopback=http_loopback,
        )

    def allows_name(self, host: str) -> bool:
        """Whether a webhook to this host may be tried at all; its addresses are judged when it is sent."""
        return not self.names or bool(self.networks) or self._names(host)

    def allows(self, host: str, address: Address, *, tls: bool) -> bool:
        """Whether a connection may be made to `address` on behalf of `host`."""
        address = embedded(address)
        if not tls:
            return self.http_loopback and address.is_loopback
        if _never(address):
            return False
        if any(address in network for network in self.networks):
            return True
        only_networks = bool(self.networks) and not self.names
        return is_public(address) and not only_networks and (not self.names or self._names(host))

    def _names(self, host: str) -> bool:
        host = host.lower().rstrip(".")
        return any(host == name or (name.startswith(".") and host.endswith(name)) for name in self.names)


def embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped or NAT64 one; any other as it is."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether this is an address of the Internet at large, and of no private, local or special place."""
    address = embedded(address)
    if _never(address) or any(address in network for network in _SPECIAL):
        return False
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_UNICAST or address in _DOCUMENTATION):
        return False
    return address.is_global


def _never(address: Address) -> bool:
    # Link-local holds the clouds' metadata (169.254.169.254): not even an operator's list opens it.
    return address.is_multicast or address.is_unspecified or address.is_link_local


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
