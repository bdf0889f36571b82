"""The OpenAPI document, where the framework cannot see for itself: the streamed form, errors, examples, titles."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from services.gateway.events import EVENT_TYPES
from services.gateway.examples import ACCEPTED, ANSWERS, PARAMETERS, SUBMISSIONS
from services.gateway.logic import NOT_SHARED
from services.gateway.problems import MEDIA_TYPE
from shared.contracts import DISCLAIMER, Problem, WebhookEvent
from shared.names import Priority
from shared.webhooks.target import MAX_URL

#: Where the first sentence about an operation ends, or says no more than why.
_END = re.compile(r"[.;:]\s|[.]$|, whatever|, at once| \(by ")

#: For `responses=` of every router.
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "description": "An error, as RFC 9457 problem details"},
}

#: For `responses=` of what has an ETag.
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "Not changed since `If-None-Match`"}}

#: The defaults are what a field left out means; without them Swagger UI fills in words of its own, which are refused.
_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["image"],
    "additionalProperties": False,
    "properties": {
        "image": {"type": "string", "format": "binary", "description": "One PNG, JPEG or DICOM file."},
        "priority": {"type": "string", "enum": list(Priority), "default": Priority.ROUTINE},
        "model": {
            "type": "string",
            "default": "",
            "description": "`name/version` of a model that `GET /v1/models` lists; the default one if not given.",
        },
        "prior_job_id": {
            "type": "string",
            "default": "",
            "pattern": "^(job_[0-9a-d][0-9a-f]{31})?$",
            "description": "An earlier finished job of yours: the result then carries the change since.",
        },
        "frame": {
            "type": "string",
            "pattern": "^(middle|all|[0-9]{0,15}[1-9][0-9]{0,15})?$",
            "default": "middle",
            "description": "Of a DICOM image with several frames: which to read, `middle`, `all`, or a number from 1.",
        },
        "burned_in_text": {
            "type": "string",
            "enum": ["true", "false"],
            "default": "false",
            "description": "`true`: writing is part of the picture, which is therefore not sent to Gemini.",
        },
        "deduplicate": {
            "type": "string",
            "enum": ["true", "false"],
            "default": "false",
            "description": "`true`: an unfinished or recent job of yours over the same image and model will do.",
        },
        "webhook_url": {
            "type": "string",
            "default": "",
            "maxLength": MAX_URL,
            "description": "`https://` URL that is told, signed (Standard Webhooks), how the job ended.",
        },
        "webhook_events": {
            "type": "string",
            "default": "",
            "description": "Of which ends, with commas between; of all if not given: "
            + ", ".join(f"`{event}`" for event in WebhookEvent)
            + ".",
        },
        "metadata": {
            "type": "object",
            "default": {},
            "description": "A small flat JSON object, given back as sent. Never logged, never sent to Gemini.",
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        },
    },
}

_SHARED = {name: field for name, field in _FORM["properties"].items() if name not in {"image", *NOT_SHARED}}

#: One or the other; a schema that says so with `oneOf` would be shown as no form at all.
_BATCH_FORM = {
    "type": "object",
    "additionalProperties": False,
    "description": "Either `image`, once for each image, or one `archive`.",
    "properties": {
        "image": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "PNGs and JPEGs; each a part of this name.",
        },
        "archive": {
            "type": "string",
            "format": "binary",
            "description": "A zip of PNGs and JPEGs; the names in it are not used.",
        },
        **_SHARED,
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
                "examples": {
                    name: {"summary": name, "value": fields} for name, fields in SUBMISSIONS.items()
                },
                "encoding": {
                    "image": {"contentType": "image/png, image/jpeg, application/dicom"},
                    "metadata": {"contentType": "application/json"},
                },
            }
        },
    },
    "callbacks": {"jobEnded": {"{$request.body#/webhook_url}": {"post": _WEBHOOK}}},
}


#: For `openapi_extra=` of the route that takes a batch.
BATCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": _BATCH_FORM,
                "examples": {
                    name: {"summary": name, "value": fields} for name, fields in SUBMISSIONS.items()
                },
                "encoding": {
                    "image": {"contentType": "image/png, image/jpeg"},
                    "archive": {"contentType": "application/zip"},
                    "metadata": {"contentType": "application/json"},
                },
            }
        },
    }
}

#: For `responses=` of the route that gives a batch's results.
JSON_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A line for each item: a `JobView` or a `Problem`",
        "content": {"application/jsonl": {"schema": {"type": "string"}}},
    }
}


#: For `openapi_extra=` of the routes that take DICOM instances.
STOW_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            'multipart/related; type="application/dicom"': {"schema": {"type": "string", "format": "binary"}}
        },
    }
}

_DICOM_JSON = {"application/dicom+json": {"schema": {"type": "object"}}}

#: For `responses=` of the same: what became of each instance (PS3.18, 10.5.3).
STOW_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Each instance is a job", "content": _DICOM_JSON},
    202: {"description": "Some instances are jobs, others were refused", "content": _DICOM_JSON},
    409: {"description": "No instance is one that is read", "content": _DICOM_JSON},
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


#: What the parts of the API are for, in the order in which one comes to them.
TAGS = [
    {"name": "jobs", "description": "One image: submit it, follow it, look at the result, call it off."},
    {"name": "batches", "description": "Many images at once."},
    {"name": "webhooks", "description": "What became of telling your server how a job ended."},
    {"name": "models", "description": "What images can be read with."},
    {"name": "dead letters", "description": "Jobs that were given up, for keys with the scope `admin`."},
    {"name": "operators", "description": "The whole house, for keys with the scope `admin`."},
    {"name": "health", "description": "For whoever runs it; needs no key."},
]

ABOUT = f"""{DISCLAIMER}

Send an image to `POST /v1/jobs`; the answer is a job, durable and `queued`. Ask for it at its `Location`, with
`?wait=30` as soon as it is over, until its `state` is final: the result says what each reader saw and how sure it is.

With keys on, send yours as `Authorization: Bearer ...`: the button *Authorize* does that on this page. Every error is
problem+json with a stable `code`. `docs/api.md` in the repository says what a list of operations cannot: submitting
safely, waiting well, what may change within `/v1`.
"""


def operation_id(route: APIRoute) -> str:
    """What a generated client calls the method: `jobs_submit`."""
    return f"{route.tags[0]}_{route.name}".replace(" ", "_") if route.tags else route.name


def install(app: FastAPI) -> None:
    """Make `app` describe itself truly."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        tags=TAGS,
        routes=app.routes,
    )
    for operations in document["paths"].values():
        for operation in operations.values():
            _correct_error_type(operation["responses"]["default"])
            _take_title(operation)
            _show_parameters(operation.get("parameters", ()))
            _show_answers(operation["responses"])
    return document


def _correct_error_type(response: dict[str, Any]) -> None:
    (schema,) = response["content"].values()
    response["content"] = {MEDIA_TYPE: schema}


def _take_title(operation: dict[str, Any]) -> None:
    """The first sentence of what is said about it: the framework takes the name of a function."""
    operation["summary"] = " ".join(_END.split(operation["description"], 1)[0].split())


def _show_parameters(parameters: Iterator[dict[str, Any]] | tuple[()]) -> None:
    for parameter in parameters:
        own = parameter["schema"].pop("examples", [PARAMETERS.get(parameter["name"].lower())])
        if own[0] is not None:
            parameter["example"] = own[0]


def _show_answers(responses: dict[str, dict[str, Any]]) -> None:
    for status, response in responses.items():
        for content in response.get("content", {}).values():
            shown = ACCEPTED if status == "202" and _is_job(content) else _all_of(content)
            if shown:
                content["examples"] = {
                    name: {"summary": name, "value": _json(m)} for name, m in shown.items()
                }


def _all_of(content: dict[str, Any]) -> dict[str, BaseModel]:
    found: dict[str, BaseModel] = {}
    for message in _messages(content.get("schema", {})):
        found |= ANSWERS.get(message, {})
    return found


def _messages(schema: Mapping[str, Any]) -> Iterator[str]:
    """The messages that a schema refers to, by name."""
    for one in (schema, *schema.get("anyOf", ())):
        if "$ref" in one:
            yield one["$ref"].rpartition("/")[2]


def _is_job(content: dict[str, Any]) -> bool:
    return list(_messages(content.get("schema", {}))) == ["JobView"]


def _json(message: BaseModel) -> Any:
    return message.model_dump(mode="json")
