"""One attempt: POST, look at the status, close. No redirect is followed, no proxy asked, no answer's body read."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path

import httpcore

from services.fusion.webhooks.network import (
    AddressRefusedError,
    CheckedNetwork,
    Resolve,
    UnresolvedError,
    resolve,
)
from shared.contracts import DeliveryOutcome
from shared.errors import BadUploadError, SetupError
from shared.webhooks.destinations import Destinations
from shared.webhooks.target import Target, parse_target

_AGENT = "MediScan-Webhooks/1"
_DELAY = re.compile("[0-9]{1,9}")
#: By status, or by its first digit.
_OUTCOMES: Mapping[int, DeliveryOutcome] = {
    2: DeliveryOutcome.DELIVERED,
    3: DeliveryOutcome.REDIRECTED,
    HTTPStatus.GONE: DeliveryOutcome.GONE,
}


@dataclass(frozen=True)
class Answer:
    """What came of an attempt."""

    outcome: DeliveryOutcome
    status: int | None = None
    #: How long the receiver asks us to wait, in seconds.
    retry_after_s: float | None = None
    #: The beginning of what it said, where somebody wants to read that.
    said: bytes = b""


class Sender:
    """Makes attempts; safe for any number of threads."""

    def __init__(
        self,
        destinations: Destinations,
        *,
        timeout_s: float,
        ca_file: Path | None = None,
        resolve: Resolve = resolve,
        heard_bytes: int = 0,
    ) -> None:
        """heard_bytes: how much of an answer is read; by default nothing."""
        self._destinations = destinations
        self._timeout_s = timeout_s
        self._resolve = resolve
        self._tls = _trust(ca_file)
        self._heard_bytes = heard_bytes

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST `body`; never raises for what the other side does."""
        try:
            target = parse_target(url, self._destinations)
            return self._post(target, headers, body)
        except (BadUploadError, AddressRefusedError):
            return Answer(DeliveryOutcome.ADDRESS_REFUSED)
        except UnresolvedError:
            return Answer(DeliveryOutcome.UNRESOLVED)
        except httpcore.TimeoutException:
            return Answer(DeliveryOutcome.TIMEOUT)
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            return Answer(DeliveryOutcome.CONNECTION)

    def _post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Answer:
        network = CheckedNetwork(target, self._destinations, self._timeout_s, self._resolve)
        url = httpcore.URL(
            scheme=b"https" if target.tls else b"http",
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        sent = {
            "host": _authority(target),
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
            "user-agent": _AGENT,
            **headers,
        }
        with (
            httpcore.ConnectionPool(ssl_context=self._tls, network_backend=network) as pool,
            pool.stream("POST", url, headers=list(sent.items()), content=body) as answer,
        ):
            asked = {name.lower(): value for name, value in answer.headers}.get(b"retry-after")
            said = _beginning(answer, self._heard_bytes) if self._heard_bytes else b""
            return Answer(_outcome(answer.status), answer.status, _seconds(asked), said)


def _beginning(answer: httpcore.Response, most: int) -> bytes:
    said = b""
    for part in answer.iter_stream():
        said += part
        if len(said) >= most:
            break
    return said[:most]


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = httpcore.default_ssl_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise SetupError(f"{ca_file} holds no certificates that can be used") from error
    return context


def _authority(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == (443 if target.tls else 80) else f"{host}:{target.port}"


def _outcome(status: int) -> DeliveryOutcome:
    found = status if status == HTTPStatus.GONE else status // 100
    return _OUTCOMES.get(found, DeliveryOutcome.REJECTED)


def _seconds(retry_after: bytes | None) -> float | None:
    """`Retry-After` as seconds from now (RFC 9110, 10.2.3); None where there is none that can be read."""
    if retry_after is None:
        return None
    text = retry_after.decode("ascii", "replace").strip()
    if _DELAY.fullmatch(text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
