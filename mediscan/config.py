"""Where the server is and who we are: from arguments, else from the environment. Read here and nowhere else."""

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mediscan.errors import ConfigurationError

URL_VARIABLE = "MEDISCAN_URL"
KEY_VARIABLE = "MEDISCAN_API_KEY"

#: Where `make run` listens.
DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Config:
    """A server, and the key to it."""

    #: Ends with a slash; paths are appended to it, so a server may live under a prefix.
    url: str
    api_key: str | None = field(repr=False)


def config(url: str | None = None, api_key: str | None = None) -> Config:
    """Arguments first, then the environment, then a server on this machine; ConfigurationError if unusable."""
    return Config(
        url=_url(url or os.environ.get(URL_VARIABLE) or DEFAULT_URL),
        api_key=_key(api_key or os.environ.get(KEY_VARIABLE)),
    )


def _url(text: str) -> str:
    try:
        parts = urlsplit(text.strip())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(
            f"The server's URL is to look like https://host:port, without query or user: set {URL_VARIABLE}."
        )
    return text.strip().rstrip("/") + "/"


def _key(text: str | None) -> str | None:
    key = (text or "").strip()
    # Whatever else it may be, it must fit a header, or the HTTP library would quote it in its complaint.
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigurationError(f"The API key holds characters that no key has: set {KEY_VARIABLE} anew.")
    return key or None
