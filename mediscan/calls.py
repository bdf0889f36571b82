"""Requests as values, one pure function a route. Nothing here sends anything."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from pathlib import Path
from typing import Literal, TypedDict
from urllib.parse import quote

from mediscan.wire import contracts, names

#: An image: where it lies, or its bytes.
Image = str | os.PathLike[str] | bytes


class Repeat(Enum):
    """When the same request may be sent again without doing something twice."""

    #: Whatever happened to the first one.
    ALWAYS = auto()
    #: Only where the first one surely did nothing: it was refused for now, or never left.
    IF_UNDONE = auto()


@dataclass(frozen=True)
class Call:
    """One request, before it is sent."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    #: Form parts by name. Files are sent without a name: it may point at a patient.
    files: Sequence[tuple[str, bytes]] = ()
    repeat: Repeat = Repeat.ALWAYS
    #: How long the server is asked to hold the answer back.
    wait_s: float = 0


class Shared(TypedDict, total=False):
    """What every image of a submission or batch is submitted with."""

    #: `stat` goes ahead of every `routine` job; `routine` unless given.
    priority: names.Priority | Literal["stat", "routine"]
    #: A small flat object, given back as sent.
    metadata: contracts.Metadata
    #: `name/version` of an installed model; the server's default unless given.
    model: str
    #: True: an equal image of yours that was read already is not read again.
    deduplicate: bool
    #: True: writing is part of the pictures, and they are not sent to Gemini.
    burned_in_text: bool
    #: Where the server posts what became of the job.
    webhook_url: str
    #: Some of `job.completed`, `job.failed`, `job.cancelled`, `job.expired`; all unless given.
    webhook_events: Iterable[str]
    #: Made up afresh unless given; the same key with the same content is the same submission.
    idempotency_key: str


class Submission(Shared, total=False):
    """What one image may be submitted with."""

    #: An earlier finished job of yours, to compare with.
    prior_job_id: str
    #: Which of a DICOM image's frames is read: `middle` unless given, `all`, or a number from 1.
    frame: int | Literal["middle", "all"]
    #: An id of your choice: the job answers to it too, and a second submission under it is the same job.
    client_id: str


class Filter(TypedDict, total=False):
    """Which jobs to list; all that is given must hold."""

    state: str
    label: str
    risk_band: str
    needs_review: bool
    since: datetime | str
    until: datetime | str
    batch: str


#: All images of a batch are stored and recorded before it is answered.
_BATCH_S = 300.0


def load(image: Image) -> bytes:
    """The image's bytes; OSError where the file cannot be read."""
    return image if isinstance(image, bytes) else Path(image).read_bytes()


def submit(image: bytes, options: Submission, *, new_key: str) -> Call:
    """`POST /v1/jobs`, or `PUT /v1/jobs/{client_id}`. new_key: the Idempotency-Key where none is given."""
    form = _fields(options) | {k: str(v) for k, v in options.items() if k in _OF_ONE and v is not None}
    key = {"Idempotency-Key": options.get("idempotency_key") or new_key}
    if client_id := options.get("client_id"):
        return Call("PUT", _path("jobs", client_id), fields=form, files=(("image", image),))
    return Call("POST", _path("jobs"), headers=key, fields=form, files=(("image", image),))


def submit_batch(images: Iterable[bytes], options: Shared, *, new_key: str) -> Call:
    """`POST /v1/batches` with a part for each image."""
    files = tuple(("image", image) for image in images)
    return _batch(files, options, new_key)


def submit_archive(archive: bytes, options: Shared, *, new_key: str) -> Call:
    """`POST /v1/batches` with a zip of images."""
    return _batch((("archive", archive),), options, new_key)


def read(job_id: str, *, wait_s: float = 0, known: str | None = None) -> Call:
    """`GET /v1/jobs/{id}`. wait_s: hold the answer until there is news; known: the ETag of what is known."""
    return _awaited(_path("jobs", job_id), wait_s, known)


def read_batch(batch_id: str, *, wait_s: float = 0, known: str | None = None) -> Call:
    """`GET /v1/batches/{id}`, as `read`."""
    return _awaited(_path("batches", batch_id), wait_s, known)


def events(job_id: str, *, after: str | None) -> Call:
    """`GET /v1/jobs/{id}/events`. after: the id of the last event seen."""
    seen = {"Last-Event-ID": after} if after else {}
    return Call("GET", _path("jobs", job_id, "events"), headers={"Accept": "text/event-stream", **seen})


def heatmap(job_id: str) -> Call:
    """`GET /v1/jobs/{id}/heatmap.png`."""
    return Call("GET", _path("jobs", job_id, "heatmap.png"))


def result(job_id: str, media_type: str) -> Call:
    """`GET /v1/jobs/{id}/result` in one of its forms."""
    return Call("GET", _path("jobs", job_id, "result"), headers={"Accept": media_type})


def dicom(job_id: str, which: str) -> Call:
    """`GET /v1/jobs/{id}/dicom/{sr|overlay|map}`."""
    return Call("GET", _path("jobs", job_id, "dicom", which))


def cancel(job_id: str) -> Call:
    """`POST /v1/jobs/{id}/cancel`: harmless to repeat."""
    return Call("POST", _path("jobs", job_id, "cancel"))


def retry(job_id: str) -> Call:
    """`POST /v1/jobs/{id}/retry`: each makes a job."""
    return Call("POST", _path("jobs", job_id, "retry"), repeat=Repeat.IF_UNDONE)


def deliveries(job_id: str) -> Call:
    """`GET /v1/jobs/{id}/deliveries`."""
    return Call("GET", _path("jobs", job_id, "deliveries"))


def redeliver(job_id: str) -> Call:
    """`POST /v1/jobs/{id}/deliveries/redeliver`: receivers drop what they have seen, so harmless to repeat."""
    return Call("POST", _path("jobs", job_id, "deliveries", "redeliver"))


def delete(job_id: str) -> Call:
    """`DELETE /v1/jobs/{id}`."""
    return Call("DELETE", _path("jobs", job_id))


def jobs(options: Filter, *, limit: int, cursor: str | None) -> Call:
    """`GET /v1/jobs`: one page."""
    chosen = {name: _word(value) for name, value in options.items() if value is not None}
    return Call("GET", _path("jobs"), params={"limit": str(limit), **chosen, **_cursor(cursor)})


def batch_results(batch_id: str) -> Call:
    """`GET /v1/batches/{id}/results.jsonl`."""
    return Call("GET", _path("batches", batch_id, "results.jsonl"))


def cancel_batch(batch_id: str) -> Call:
    """`POST /v1/batches/{id}/cancel`."""
    return Call("POST", _path("batches", batch_id, "cancel"))


def dead_letters(*, limit: int, cursor: str | None) -> Call:
    """`GET /v1/dead-letters`: one page."""
    return Call("GET", _path("dead-letters"), params={"limit": str(limit), **_cursor(cursor)})


def dead_letter(job_id: str) -> Call:
    """`GET /v1/dead-letters/{job_id}`."""
    return Call("GET", _path("dead-letters", job_id))


def replay(job_id: str) -> Call:
    """`POST /v1/dead-letters/{job_id}/replay`."""
    return Call("POST", _path("dead-letters", job_id, "replay"), repeat=Repeat.IF_UNDONE)


def health() -> Call:
    """`GET /healthz`."""
    return Call("GET", "healthz")


def description() -> Call:
    """`GET /openapi.json`."""
    return Call("GET", "openapi.json")


def models() -> Call:
    """`GET /v1/models`."""
    return Call("GET", _path("models"))


def cluster() -> Call:
    """`GET /v1/cluster`."""
    return Call("GET", _path("cluster"))


def readiness() -> Call:
    """`GET /readyz`."""
    return Call("GET", "readyz")


def _batch(files: Sequence[tuple[str, bytes]], options: Shared, new_key: str) -> Call:
    key = {"Idempotency-Key": options.get("idempotency_key") or new_key}
    return Call("POST", _path("batches"), headers=key, fields=_fields(options), files=files, wait_s=_BATCH_S)


def _awaited(path: str, wait_s: float, known: str | None) -> Call:
    asked = {"Prefer": f"wait={wait_s:.0f}"} if wait_s else {}
    return Call("GET", path, headers=asked | ({"If-None-Match": known} if known else {}), wait_s=wait_s)


def _fields(options: Shared) -> dict[str, str]:
    form: dict[str, str] = {name: _word(options[name]) for name in _PLAIN if options.get(name) is not None}
    if (metadata := options.get("metadata")) is not None:
        form["metadata"] = json.dumps(metadata, ensure_ascii=False)
    if (wanted := options.get("webhook_events")) is not None:
        form["webhook_events"] = ",".join(wanted)
    return form


#: Fields of one image alone.
_OF_ONE = frozenset({"prior_job_id", "frame"})
#: Fields that are one word each.
_PLAIN: tuple[Literal["priority", "model", "deduplicate", "burned_in_text", "webhook_url"], ...] = (
    "priority",
    "model",
    "deduplicate",
    "burned_in_text",
    "webhook_url",
)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _cursor(cursor: str | None) -> dict[str, str]:
    return {"cursor": cursor} if cursor else {}


def _path(*parts: str) -> str:
    if not set(parts).isdisjoint({"", ".", ".."}):
        raise ValueError("an id may not be empty or a dot")
    return "/".join(("v1", *(quote(part, safe="") for part in parts)))
