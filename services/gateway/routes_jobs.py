"""`/v1/jobs`: submit, follow, look, call off."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from services.gateway import intake, lookup, resources
from services.gateway.admission import admit
from services.gateway.audited import audited, note, note_read, record_read
from services.gateway.body import BodyReader, check_declared
from services.gateway.caller import Caller, Reader, Scope, Submitter
from services.gateway.event_stream import EventStream
from services.gateway.events import events
from services.gateway.form import SubmissionForm
from services.gateway.intake import take_in
from services.gateway.logic import (
    check_cancelled,
    check_retryable,
    etag,
    field_limits,
    is_news,
    is_unchanged,
    poll_headers,
    unread,
)
from services.gateway.multipart import MultipartDecoder, boundary_of
from services.gateway.openapi import (
    EVENT_STREAM,
    IDEMPOTENCY_KEY,
    PROBLEM_RESPONSES,
    SUBMISSION_BODY,
    UNCHANGED,
)
from services.gateway.repeats import client_alias, idempotency_alias
from services.gateway.resources import Resources
from services.gateway.settings import GatewaySettings
from services.gateway.upload import ImageUpload
from services.gateway.waiting import preferred_wait_s, unless_gone, until
from shared import telemetry
from shared.audit.event import AuditAction
from shared.contracts import JobView, MlReading
from shared.errors import BlobMissingError, NotFoundError
from shared.heatmap import DRAWING_VERSION, draw
from shared.job_state import TERMINAL
from shared.ledger import Alias, AliasKind
from shared.names import CLIENT_ID_PATTERN, Blob, JobRef, blob_path, new_job_id

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEM_RESPONSES)

#: Nobody receives it: for the access log, in the word that nginx has for it.
CALLER_GONE = 499

#: Described here and checked by `client_alias`, which says more than the framework does.
OwnId = Annotated[
    str,
    Path(
        json_schema_extra={"pattern": f"^{CLIENT_ID_PATTERN}$"},
        description="The id that you choose.",
        examples=["scan-0017"],
    ),
]

Wait = Annotated[
    int | None,
    Query(ge=0, le=1_000_000_000, description="Seconds to wait for news; the server may cut it short."),
]
Prefer = Annotated[
    str | None,
    Header(description="`wait=30`: as the parameter; `Preference-Applied` says what was granted."),
]

LastEventId = Annotated[
    str, Header(description="`id` of the last event that is known: only what came after it is told.")
]

_REPEATED: dict[int | str, dict[str, Any]] = {
    200: {"model": JobView, "description": "The job was there before: the submission is a repeated one"}
}
_JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}, "description": "The preview"}}
_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "The overlay"}}


@router.post(
    "",
    status_code=202,
    response_model=JobView,
    openapi_extra=SUBMISSION_BODY | IDEMPOTENCY_KEY,
    responses=_REPEATED,
)
async def submit(request: Request, who: Submitter) -> Response:
    """Submit one image. The job is durable when this answers; follow it at `Location`.

    With an `Idempotency-Key` the same request may be sent again, and makes no second job.
    """
    return await _submit(request, who, idempotency_alias(request))


@router.put(
    "/{job_id}",
    status_code=202,
    response_model=JobView,
    openapi_extra=SUBMISSION_BODY,
    responses=_REPEATED,
)
async def submit_as(request: Request, who: Submitter, job_id: OwnId) -> Response:
    """Submit one image as a job with an id of your own; every address of jobs then takes either id.

    1 to 64 letters, digits and `.`, `_`, `~`, `-`; the first is a letter or digit, and `job_` begins none.
    """
    return await _submit(request, who, client_alias(job_id))


async def _submit(request: Request, who: Caller, alias: Alias | None) -> Response:
    held = resources.of(request)
    ref = JobRef(who.tenant, new_job_id())
    upload = _open_upload(request, held.settings, who.tenant)
    with held.uploads.one():
        admitted = await held.run(admit, held, ref, who)
        request.state.refusal_headers = admitted.headers()
        admitted.check()
        taken = await take_in(held, ref, upload, admitted, alias)
    job = taken.job
    _note(request, JobRef(who.tenant, job.id))
    headers = poll_headers(job) | {"Location": job.links.self} | admitted.headers(accepted=taken.is_new)
    if taken.is_new:
        return _json(job, headers, status=202)
    if alias is not None and alias.kind is AliasKind.IDEMPOTENCY:
        headers["Idempotency-Replayed"] = "true"
    return await _shown(held, who, job, headers)


@router.get("/{job_id}", response_model=JobView, responses=UNCHANGED)
async def read(
    request: Request, who: Reader, job_id: str, wait: Wait = None, prefer: Prefer = None
) -> Response:
    """The job as it stands: state, readings as they arrive, progress, timings, result.

    With `wait` it is answered as soon as the job is over, or with `If-None-Match` as soon as it is another version
    than that one; as it stands where the time is up first.
    """
    held, ref = await _job(request, who, job_id)
    known = request.headers.get("if-none-match")
    preferred = preferred_wait_s(prefer) if wait is None else None
    wait_s = min(wait or preferred or 0, held.settings.max_wait_s)
    found = _as_wished(held, who, ref, known, wait_s)
    job = await (unless_gone(request.receive, found) if wait_s else found)
    if job is None:
        return Response(status_code=CALLER_GONE)
    headers = poll_headers(job) | ({} if preferred is None else {"Preference-Applied": f"wait={wait_s}"})
    if is_unchanged(known, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return _json(job, headers)


@router.get("/{job_id}/events", response_class=Response, responses=EVENT_STREAM)
async def follow(request: Request, who: Reader, job_id: str, last_event_id: LastEventId = "") -> Response:
    """The job's steps as server-sent events: those it has come through, then each as it comes, until it is over."""
    held, ref = await _job(request, who, job_id)
    job = await held.run(lookup.find, held, ref)
    if job.state in TERMINAL and not events(job, last_event_id):
        return Response(status_code=204)  # a browser comes again after any other end
    return EventStream(held, who, ref, job, last_event_id)


@router.get("/{job_id}/heatmap.png", response_class=Response, responses=_PNG | UNCHANGED)
async def heatmap(request: Request, who: Reader, job_id: str) -> Response:
    """Where the ML reading's evidence lies: its Grad-CAM over the image."""
    held, ref = await _job(request, who, job_id)
    job = await held.run(lookup.find, held, ref)
    if not isinstance(job.readings.ml, MlReading):
        raise _no_heatmap()
    headers = {"ETag": f'"{job.id}.heatmap.{DRAWING_VERSION}"', "Cache-Control": "no-store"}
    if is_unchanged(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    picture = await held.run(_draw, held, ref, job.readings.ml)
    await note(held, AuditAction.HEATMAP, who, ref)
    return Response(picture, media_type="image/png", headers=headers)


@router.get("/{job_id}/preview.jpg", response_class=Response, responses=_JPEG | UNCHANGED)
async def preview(request: Request, who: Reader, job_id: str) -> Response:
    """The image as the ML worker decoded it, at most 512 px a side, without a byte of its header."""
    held, ref = await _job(request, who, job_id)
    job = await held.run(lookup.find, held, ref)
    headers = {"ETag": f'"{job.id}.preview"', "Cache-Control": "no-store"}
    if not isinstance(job.readings.ml, MlReading):
        raise _no_preview()
    if is_unchanged(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    picture = await held.run(_preview, held, ref)
    await note(held, AuditAction.PREVIEW, who, ref)
    return Response(picture, media_type="image/jpeg", headers=headers)


@router.post("/{job_id}/cancel", response_model=JobView)
async def cancel(request: Request, who: Submitter, job_id: str) -> Response:
    """Call the job off. Harmless to repeat; refused where the job has ended otherwise."""
    held, ref = await _job(request, who, job_id)
    job = await held.run(lookup.cancel, held, ref, audited(AuditAction.CANCELLED, who.key_id, ref))
    check_cancelled(job.state)
    return await _shown(held, who, job, poll_headers(job))


@router.post("/{job_id}/retry", status_code=202, response_model=JobView)
async def retry(request: Request, who: Submitter, job_id: str) -> Response:
    """Try again: a new job (`retry_of`) over the image of one that failed, expired or was cancelled."""
    held, ref = await _job(request, who, job_id)
    return await tried_again(request, held, who, ref)


@router.delete("/{job_id}", status_code=204)
async def erase(request: Request, who: Submitter, job_id: str) -> Response:
    """Erase the job, called off if it runs: image, readings, result and every name. The audit trail keeps its lines."""
    held, ref = await _job(request, who, job_id)
    await held.run(lookup.erase, held, ref, audited(AuditAction.DELETED, who.key_id, ref))
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


async def tried_again(request: Request, held: Resources, who: Caller, ref: JobRef) -> Response:
    """The answer to whoever wants a job tried again: 202, with the new job."""
    old = await held.run(lookup.find, held, ref)
    check_retryable(old.state)
    new = JobRef(who.tenant, new_job_id())
    with held.uploads.one():
        admitted = await held.run(admit, held, new, who)
        request.state.refusal_headers = admitted.headers()
        admitted.check()
        job = await held.run(intake.retry, held, new, old, admitted)
    headers = poll_headers(job) | {"Location": job.links.self} | admitted.headers(accepted=True)
    return _json(job, headers, status=202)


async def _as_wished(held: Resources, who: Caller, ref: JobRef, known: str | None, wait_s: float) -> JobView:
    """The job once there is news of it, within `wait_s`; else as it stands. That it is read is recorded."""

    def news(job: JobView) -> bool:
        return is_news(job, known)

    def look() -> JobView:
        job = lookup.look(held, ref)
        if not news(job):
            return job
        told = job if job.ended_at else lookup.find(held, ref)  # with its place in line
        return _recorded(held, who, ref, told, known)

    def as_it_stands() -> JobView:
        return _recorded(held, who, ref, lookup.find(held, ref), known)

    job = await until(held, ref, look, news, wait_s, for_end=known is None) if wait_s else None
    return await held.run(as_it_stands) if job is None else job


def _recorded(held: Resources, who: Caller, ref: JobRef, job: JobView, known: str | None) -> JobView:
    """The job, which is about to be told; by the thread that found it, for each hop between threads costs time."""
    if not is_unchanged(known, etag(job)):
        record_read(held, who, ref, job)
    return job


async def _shown(held: Resources, who: Caller, job: JobView, headers: dict[str, str]) -> Response:
    """The job, as far as a caller may see it who may have no right to read."""
    if Scope.READ not in who.scopes:
        return _json(unread(job), headers)
    await note_read(held, who, JobRef(who.tenant, job.id), job)
    return _json(job, headers)


def _open_upload(request: Request, settings: GatewaySettings, tenant: str) -> ImageUpload:
    check_declared(request.headers, settings.max_upload_bytes)
    decoder = MultipartDecoder(boundary_of(request.headers.get("content-type", "")))
    body = BodyReader(
        request.receive, max_bytes=settings.max_upload_bytes, timeout_s=settings.upload_timeout_s
    )
    return ImageUpload(SubmissionForm(body, decoder, field_limits(settings)), settings, tenant)


async def _job(request: Request, who: Caller, job_id: str) -> tuple[Resources, JobRef]:
    held = resources.of(request)
    ref = lookup.own_reference(who.tenant, job_id)
    if ref is None:
        ref = await held.run(lookup.reference, held, who.tenant, job_id)
    _note(request, ref)
    return held, ref


def _note(request: Request, ref: JobRef) -> None:
    telemetry.note(job=ref)


def _draw(held: Resources, ref: JobRef, reading: MlReading) -> bytes:
    try:
        preview = held.blobs.get(blob_path(ref, Blob.PREVIEW))
    except BlobMissingError as error:
        raise _no_heatmap() from error
    return draw(preview, reading.cam)


def _preview(held: Resources, ref: JobRef) -> bytes:
    try:
        return held.blobs.get(blob_path(ref, Blob.PREVIEW))
    except BlobMissingError as error:
        raise _no_preview() from error


def _no_preview() -> NotFoundError:
    return NotFoundError("There is no preview: the ML reading is not there (yet).", code="no_preview")


def _no_heatmap() -> NotFoundError:
    return NotFoundError("There is no heatmap: the ML reading is not there (yet).", code="no_heatmap")


def _json(job: JobView, headers: dict[str, str], status: int = 200) -> Response:
    return Response(job.model_dump_json(), status_code=status, media_type="application/json", headers=headers)
