"""Standard Webhooks (https://www.standardwebhooks.com, specification 1.0.0): what proves that we sent it. Pure."""

import base64
import hashlib
import hmac
from collections.abc import Sequence


def signed_headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt. secrets: `whsec_...`; each signs, so that a receiver may know any of them.

    timestamp: of this attempt, Unix seconds; receivers refuse old ones.
    """
    content = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(secret, content) for secret in secrets),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return f"v1,{base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()}"
