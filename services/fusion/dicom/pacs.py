"""The house's PACS over DICOMweb: objects in, one STOW-RS attempt out (PS3.18, section 10.5)."""

import base64
import json
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from services.fusion.webhooks.sender import Answer, Sender
from shared.contracts import DeliveryOutcome
from shared.errors import BadUploadError
from shared.webhooks.destinations import Destinations
from shared.webhooks.target import parse_target

#: A response names each instance: this is more than our three objects can need.
_HEARD_BYTES = 256 << 10
#: Failed SOP Sequence.
_FAILED = "00081198"


class _Operators(Destinations):
    """Where the operator's own settings may lead: anywhere, also into the house and without TLS."""

    def allows(self, host: str, address: IPv4Address | IPv6Address, *, tls: bool) -> bool:
        """Always: a caller has no say in it."""
        del host, address, tls
        return True


_ANYWHERE = _Operators(http_loopback=True)


def check_pacs_url(url: str) -> None:
    """ValueError unless `url` can be sent to."""
    try:
        parse_target(url, _ANYWHERE)
    except BadUploadError as error:
        # It says `webhook_url`, which is not what the operator wrote.
        raise ValueError(error.detail.partition(": ")[2].rstrip(".")) from error


class Pacs:
    """Stores objects; safe for any number of threads."""

    def __init__(
        self,
        url: str,
        *,
        user: str = "",
        password: SecretStr | None = None,
        token: SecretStr | None = None,
        timeout_s: float = 60,
        ca_file: Path | None = None,
    ) -> None:
        self._url = f"{url.rstrip('/')}/studies"
        self._login = _login(user, password or SecretStr(""), token or SecretStr(""))
        self._sender = Sender(_ANYWHERE, timeout_s=timeout_s, ca_file=ca_file, heard_bytes=_HEARD_BYTES)

    def store(self, objects: Sequence[bytes], boundary: str) -> Answer:
        """Send DICOM files in one request. boundary: text that is in none of them."""
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        headers = {"content-type": kind, "accept": "application/dicom+json", **self._login}
        return judged(self._sender.send(self._url, headers, related(objects, boundary)))


def related(objects: Sequence[bytes], boundary: str) -> bytes:
    """The body of a STOW-RS request (RFC 2387)."""
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return b"".join(head + one + b"\r\n" for one in objects) + f"--{boundary}--\r\n".encode()


def judged(answer: Answer) -> Answer:
    """The answer as it is meant: 202 may say that some of the objects were not taken."""
    if answer.outcome is DeliveryOutcome.DELIVERED and _names_failures(answer.said):
        return Answer(DeliveryOutcome.REJECTED, answer.status, answer.retry_after_s)
    return Answer(answer.outcome, answer.status, answer.retry_after_s)


def _names_failures(said: bytes) -> bool:
    try:
        found: Any = json.loads(said or b"{}")
    except ValueError:
        return False  # the status is all that it says
    found = found[0] if isinstance(found, list) and found else found
    failed = found.get(_FAILED) if isinstance(found, Mapping) else None
    return isinstance(failed, Mapping) and bool(failed.get("Value"))


def _login(user: str, password: SecretStr, token: SecretStr) -> dict[str, str]:
    if token.get_secret_value():
        return {"authorization": f"Bearer {token.get_secret_value()}"}
    if user:
        pair = f"{user}:{password.get_secret_value()}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}
