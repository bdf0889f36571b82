"""What a webhook says: which job ended how, and where its result is. Small, and nothing a patient could be known by."""

import json
from typing import Any

from shared.contracts import JobView, WebhookEvent


def message(job: JobView, event: WebhookEvent) -> bytes:
    """The body: the same bytes at every attempt, for a job that is over changes no more."""
    return json.dumps(payload(job, event), separators=(",", ":")).encode()


def payload(job: JobView, event: WebhookEvent) -> dict[str, Any]:
    """The same before it is JSON: `type`, `timestamp` and `data`, as Standard Webhooks has it."""
    links = {"self": job.links.self, "deliveries": f"{job.links.self}/deliveries"}
    return {
        "type": event.value,
        "timestamp": (job.ended_at or job.created_at).isoformat(),
        "data": {"id": job.id, "state": job.state.value, "summary": _summary(job), "links": links},
    }


def _summary(job: JobView) -> dict[str, Any] | None:
    if job.error is not None:
        return {"error": job.error.code}
    if job.result is None:
        return None
    return {
        "label": job.result.label,
        "risk_band": job.result.risk.band,
        "needs_review": job.result.needs_review,
    }
