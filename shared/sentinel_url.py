"""Reads `redis+sentinel://…`: a ledger whose primary is found by asking sentinels. Pure.

The form is `redis+sentinel://user:password@host:port,host:port,host:port/service/db`, with `rediss+sentinel` for TLS.
User and password are the primary's; those of the sentinels, where they ask for any, stand in the query as
`sentinel_username` and `sentinel_password`.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

_TLS = {"redis+sentinel": False, "rediss+sentinel": True}
_PORT = 26379


@dataclass(frozen=True)
class SentinelUrl:
    """Whom to ask for the primary, and how to log in there."""

    sentinels: tuple[tuple[str, int], ...]
    #: The name that the sentinels know the primary and its replicas by.
    service: str
    db: int
    tls: bool
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def names_sentinels(url: str) -> bool:
    """Whether `url` is of this form, well or badly made."""
    return url.partition("://")[0] in _TLS


def parse_sentinel_url(url: str) -> SentinelUrl:
    """ValueError where it names no sentinel or no service, or holds what nobody knows."""
    parts = urlsplit(url)
    service, _, db = parts.path.strip("/").partition("/")
    hosts = tuple(_address(given) for given in parts.netloc.rpartition("@")[2].split(","))
    login = parse_qs(parts.query, strict_parsing=bool(parts.query))
    if not service or not login.keys() <= {"sentinel_username", "sentinel_password"}:
        raise ValueError("no service, or an unknown word in the query")
    return SentinelUrl(
        sentinels=hosts,
        service=unquote(service),
        db=int(db or "0"),
        tls=_TLS[parts.scheme],
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        sentinel_username=login.get("sentinel_username", [None])[0],
        sentinel_password=login.get("sentinel_password", [None])[0],
    )


def _address(given: str) -> tuple[str, int]:
    parts = urlsplit(f"//{given}")
    if not parts.hostname:
        raise ValueError("a sentinel without a name")
    return parts.hostname, parts.port or _PORT
