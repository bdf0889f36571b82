"""`/v1/jobs`: submit, follow, look, call off."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from services.gateway import lookup, resources
from services.gateway.admission import admit
from services.gateway.audited import audited, note, note_read
from services.gateway.body import BodyReader, check_declared
from services.gateway.caller import Caller, Reader, Scope, Submitter
from services.gateway.event_stream import EventStream
from services.gateway.events import events
from services.gateway.form import SubmissionForm
from services.gateway.heatmap import DRAWING_VERSION, draw
from services.gateway.intake import take_in
from services.gateway.logic import check_cancelled, field_limits, is_news, is_unchanged, poll_headers, unread
from services.gateway.multipart import MultipartDecoder, boundary_of
from services.gateway.openapi import EVENT_STREAM, PROBLEM_RESPONSES, SUBMISSION_BODY
from services.gateway.resources import Resources
from services.gateway.settings import GatewaySettings
from services.gateway.upload import ImageUpload
from services.gateway.waiting import preferred_wait_s, unless_gone, until
from shared.audit.event import AuditAction
from shared.contracts import JobView, MlReading
from shared.errors import BlobMissingError, NotFoundError
from shared.job_state import TERMINAL
from shared.job_view import view
from shared.names import Blob, JobRef, blob_path, new_job_id

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEM_RESPONSES)

_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "Not changed since `If-None-Match`"}}
#: Nobody receives it: for the access log, in the word that nginx has for it.
_CALLER_GONE = 499

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

_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "The overlay"}}


@router.post("", status_code=202, response_model=JobView, openapi_extra=SUBMISSION_BODY)
async def submit(request: Request, who: Submitter) -> Response:
    """Submit one image. The job is durable when this answers; follow it at `Location`."""
    held = resources.of(request)
    ref = JobRef(who.tenant, new_job_id())
    upload = _open_upload(request, held.settings)
    with held.uploads.one():
        admitted = await held.run(admit, held, ref, who)
        request.state.refusal_headers = admitted.headers()
        admitted.check()
        job = view(await take_in(held, ref, upload, admitted))
    _note(request, ref)
    headers = poll_headers(job) | {"Location": job.links.self} | admitted.headers(accepted=True)
    return _json(job, headers, status=202)


@router.get("/{job_id}", response_model=JobView, responses=_UNCHANGED)
async def read(
    request: Request, who: Reader, job_id: str, wait: Wait = None, prefer: Prefer = None
) -> Response:
    """The job as it stands: state, readings as they arrive, progress, timings, result.

    With `wait` it is answered as soon as the job is over, or with `If-None-Match` as soon as it is another version
    than that one; as it stands where the time is up first.
    """
    held, ref = _job(request, who, job_id)
    known = request.headers.get("if-none-match")
    preferred = preferred_wait_s(prefer) if wait is None else None
    wait_s = min(wait or preferred or 0, held.settings.max_wait_s)
    found = until(held, ref, lambda job: is_news(job, known), wait_s)
    job = await (unless_gone(request.receive, found) if wait_s else found)
    if job is None:
        return Response(status_code=_CALLER_GONE)
    headers = poll_headers(job) | ({} if preferred is None else {"Preference-Applied": f"wait={wait_s}"})
    if is_unchanged(known, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    await note_read(held, who, ref, job)
    return _json(job, headers)


@router.get("/{job_id}/events", response_class=Response, responses=EVENT_STREAM)
async def follow(request: Request, who: Reader, job_id: str, last_event_id: LastEventId = "") -> Response:
    """The job's steps as server-sent events: those it has come through, then each as it comes, until it is over."""
    held, ref = _job(request, who, job_id)
    job = await held.run(lookup.find, held, ref)
    if job.state in TERMINAL and not events(job, last_event_id):
        return Response(status_code=204)  # a browser comes again after any other end
    return EventStream(held, who, ref, job, last_event_id)


@router.get("/{job_id}/heatmap.png", response_class=Response, responses=_PNG | _UNCHANGED)
async def heatmap(request: Request, who: Reader, job_id: str) -> Response:
    """Where the ML reading's evidence lies: its Grad-CAM over the image."""
    held, ref = _job(request, who, job_id)
    job = await held.run(lookup.find, held, ref)
    if not isinstance(job.readings.ml, MlReading):
        raise _no_heatmap()
    headers = {"ETag": f'"{job.id}.heatmap.{DRAWING_VERSION}"', "Cache-Control": "no-store"}
    if is_unchanged(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    picture = await held.run(_draw, held, ref, job.readings.ml)
    await note(held, AuditAction.HEATMAP, who, ref)
    return Response(picture, media_type="image/png", headers=headers)


@router.post("/{job_id}/cancel", response_model=JobView)
async def cancel(request: Request, who: Submitter, job_id: str) -> Response:
    """Call the job off. Harmless to repeat; refused where the job has ended otherwise."""
    held, ref = _job(request, who, job_id)
    job = await held.run(lookup.cancel, held, ref, audited(AuditAction.CANCELLED, who.key_id, ref))
    check_cancelled(job.state)
    if Scope.READ not in who.scopes:
        return _json(unread(job), poll_headers(job))
    await note_read(held, who, ref, job)
    return _json(job, poll_headers(job))


def _open_upload(request: Request, settings: GatewaySettings) -> ImageUpload:
    check_declared(request.headers, settings.max_upload_bytes)
    decoder = MultipartDecoder(boundary_of(request.headers.get("content-type", "")))
    body = BodyReader(
        request.receive, max_bytes=settings.max_upload_bytes, timeout_s=settings.upload_timeout_s
    )
    return ImageUpload(SubmissionForm(body, decoder, field_limits(settings)), settings)


def _job(request: Request, who: Caller, job_id: str) -> tuple[Resources, JobRef]:
    held = resources.of(request)
    ref = lookup.reference(who.tenant, job_id)
    _note(request, ref)
    return held, ref


def _note(request: Request, ref: JobRef) -> None:
    request.state.job = str(ref)  # for the access log


def _draw(held: Resources, ref: JobRef, reading: MlReading) -> bytes:
    try:
        preview = held.blobs.get(blob_path(ref, Blob.PREVIEW))
    except BlobMissingError as error:
        raise _no_heatmap() from error
    return draw(preview, reading.cam)


def _no_heatmap() -> NotFoundError:
    return NotFoundError("There is no heatmap: the ML reading is not there (yet).", code="no_heatmap")


def _json(job: JobView, headers: dict[str, str], status: int = 200) -> Response:
    return Response(job.model_dump_json(), status_code=status, media_type="application/json", headers=headers)
