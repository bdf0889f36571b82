"""Reads a webhook's URL, and refuses what is decidable without asking a name server."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from shared.errors import BadUploadError
from shared.webhooks.destinations import Address, Destinations

#: Most characters of a URL.
MAX_URL = 2048

_PRINTABLE = re.compile(r"[!-~]+")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?")


@dataclass(frozen=True)
class Target:
    """Where one webhook goes."""

    tls: bool
    #: Without brackets, in lower case.
    host: str
    port: int
    #: Path and query.
    path: str

    @property
    def address(self) -> Address | None:
        """The address where the host is written as one; None where it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


def parse_target(url: str, destinations: Destinations) -> Target:
    """Read `url`; BadUploadError (422, `bad_webhook_url`) where no webhook can go there."""
    target = _parse(url)
    if not target.tls and not destinations.http_loopback:
        raise refused("it must begin with https://")
    address = target.address
    if address is None and not destinations.allows_name(target.host):
        raise refused("its host is none that webhooks may go to here")
    if address is not None and not destinations.allows(target.host, address, tls=target.tls):
        raise refused("its address is none that webhooks may go to here")
    return target


def refused(why: str) -> BadUploadError:
    """What is said of a URL that cannot be used; the URL itself, which may hold a secret, is not quoted."""
    return BadUploadError(f"`webhook_url` cannot be used: {why}.", code="bad_webhook_url", status=422)


def _parse(url: str) -> Target:
    if len(url) > MAX_URL or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise refused(f"it is not a URL of at most {MAX_URL} ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise refused("it is not a URL") from error
    if parts.scheme not in {"https", "http"}:
        raise refused("it must begin with https://")
    if "@" in parts.netloc or parts.fragment:
        raise refused("it may hold neither a user nor a fragment")
    if port == 0 or not (_HOST.fullmatch(host) or ":" in host):
        raise refused("it names no host")
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(tls, host, port or (443 if tls else 80), path)
