"""The OpenAPI document, where the framework cannot see for itself: the streamed form, and the form of errors."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.gateway.events import EVENT_TYPES
from services.gateway.problems import MEDIA_TYPE
from shared.contracts import Problem, WebhookEvent
from shared.names import Priority
from shared.webhooks.target import MAX_URL

#: For `responses=` of every router.
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "description": "An error, as RFC 9457 problem details"},
}

_FORM = {
    "type": "object",
    "required": ["image"],
    "additionalProperties": False,
    "properties": {
        "image": {"type": "string", "format": "binary", "description": "One PNG or JPEG."},
        "priority": {"type": "string", "enum": list(Priority), "default": Priority.ROUTINE},
        "model": {
            "type": "string",
            "description": "`name/version` of a model that `GET /v1/models` lists; the default one if not given.",
        },
        "prior_job_id": {
            "type": "string",
            "pattern": "^(job_[0-9a-d][0-9a-f]{31})?$",
            "description": "An earlier finished job of yours: the result then carries the change since.",
        },
        "deduplicate": {
            "type": "string",
            "enum": ["true", "false"],
            "default": "false",
            "description": "`true`: an unfinished or recent job of yours over the same image and model will do.",
        },
        "webhook_url": {
            "type": "string",
            "maxLength": MAX_URL,
            "description": "`https://` URL that is told, signed (Standard Webhooks), how the job ended.",
        },
        "webhook_events": {
            "type": "string",
            "description": "Of which ends, with commas between; of all if not given: "
            + ", ".join(f"`{event}`" for event in WebhookEvent)
            + ".",
        },
        "metadata": {
            "type": "object",
            "description": "A small flat JSON object, given back as sent. Never logged, never sent to Gemini.",
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        },
    },
}

_WEBHOOK_HEADERS = {
    "webhook-id": "The same at every attempt.",
    "webhook-timestamp": "Unix seconds of this attempt.",
    "webhook-signature": "`v1,` and an HMAC-SHA256 for each secret in force (Standard Webhooks).",
}

#: What a receiver is sent (docs/webhooks.md); `services/fusion/webhooks/message.py` makes it.
_WEBHOOK = {
    "summary": "A job has ended",
    "parameters": [
        {"name": name, "in": "header", "required": True, "description": said, "schema": {"type": "string"}}
        for name, said in _WEBHOOK_HEADERS.items()
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["type", "timestamp", "data"],
                    "properties": {
                        "type": {"type": "string", "enum": list(WebhookEvent)},
                        "timestamp": {"type": "string", "format": "date-time"},
                        "data": {
                            "type": "object",
                            "required": ["id", "state", "summary", "links"],
                            "properties": {
                                "id": {"type": "string"},
                                "state": {"type": "string"},
                                "summary": {"type": ["object", "null"]},
                                "links": {"type": "object"},
                            },
                        },
                    },
                }
            }
        },
    },
    "responses": {
        "2XX": {"description": "Heard; the body is not read"},
        "410": {"description": "Nothing more is sent"},
        "default": {"description": "It is sent again later"},
    },
}

#: For `openapi_extra=` of the route that parses its body itself.
SUBMISSION_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": _FORM,
                "encoding": {
                    "image": {"contentType": "image/png, image/jpeg"},
                    "metadata": {"contentType": "application/json"},
                },
            }
        },
    },
    "callbacks": {"jobEnded": {"{$request.body#/webhook_url}": {"post": _WEBHOOK}}},
}


#: For `responses=` of the route that tells a job's steps. OpenAPI 3.2 has `itemSchema` for what comes piece by piece.
EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The events",
        "content": {
            "text/event-stream": {
                "itemSchema": {
                    "type": "object",
                    "required": ["id", "event", "data"],
                    "properties": {
                        "id": {"type": "string"},
                        "event": {"type": "string", "enum": EVENT_TYPES},
                        "data": {"type": "string", "contentMediaType": "application/json"},
                    },
                }
            }
        },
    },
    204: {"description": "The job is over, and all of it is known"},
}


#: For `openapi_extra=` of a route that may be repeated under a key.
IDEMPOTENCY_KEY = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "Any text of yours, new for each submission: a repeated request then makes no second job.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        }
    ]
}


def install(app: FastAPI) -> None:
    """Make `app` describe itself truly."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    for operations in document["paths"].values():
        for operation in operations.values():
            _correct_error_type(operation["responses"]["default"])
    return document


def _correct_error_type(response: dict[str, Any]) -> None:
    (schema,) = response["content"].values()
    response["content"] = {MEDIA_TYPE: schema}
