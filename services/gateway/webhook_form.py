"""The fields `webhook_url` and `webhook_events` of a submission."""

from collections.abc import Mapping

from shared.contracts import WebhookEvent
from shared.errors import BadUploadError
from shared.ledger import Webhook
from shared.webhooks.destinations import Destinations
from shared.webhooks.target import MAX_URL, parse_target

#: The fields with the most bytes each may have.
WEBHOOK_LIMITS = {"webhook_url": MAX_URL, "webhook_events": 256}


def parse_webhook(fields: Mapping[str, bytes], destinations: Destinations) -> Webhook | None:
    """Whom to tell of which ends, None for nobody; BadUploadError (422) where that cannot be."""
    url, events = (fields.get(name, b"").decode("ascii", "replace").strip() for name in WEBHOOK_LIMITS)
    if not url:
        if events:
            raise _bad_events("it needs a `webhook_url`")
        return None
    parse_target(url, destinations)
    return Webhook(url, _events(events) if events else tuple(WebhookEvent))


def _events(text: str) -> tuple[WebhookEvent, ...]:
    try:
        return tuple(dict.fromkeys(WebhookEvent(name.strip()) for name in text.split(",")))
    except ValueError as error:
        known = ", ".join(f"`{event}`" for event in WebhookEvent)
        raise _bad_events(f"it takes {known}, with commas between") from error


def _bad_events(why: str) -> BadUploadError:
    return BadUploadError(f"`webhook_events` cannot be used: {why}.", code="bad_webhook_events", status=422)
