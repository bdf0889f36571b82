"""`/v1/jobs/{id}/result`, `.../task`, `.../dicom/{object}`: what came of a job, as the caller's system speaks.

DICOM objects are handed out as fusion made them; nothing here knows their insides.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from services.gateway import lookup, resources
from services.gateway.accept import chosen
from services.gateway.audited import note
from services.gateway.caller import Caller, Reader
from services.gateway.fhir import bundle, patient, task
from services.gateway.logic import is_unchanged, poll_headers
from services.gateway.openapi import PROBLEM_RESPONSES
from services.gateway.resources import Resources
from shared import telemetry
from shared.audit.event import AuditAction
from shared.contracts import DeliveryState, DeliveryTarget, FusedResult, JobView, MlReading
from shared.dicom_results import KINDS, DicomResult
from shared.errors import BlobMissingError, NotAcceptableError, NotFoundError, UnavailableError
from shared.names import Blob, JobRef, blob_path
from shared.webhooks.log import kept

router = APIRouter(prefix="/v1/jobs", tags=["results"], responses=PROBLEM_RESPONSES)

_JSON, _FHIR, _DICOM = "application/json", bundle.MEDIA_TYPE, "application/dicom"
#: Fusion makes the objects in no more than this after the job has ended, if it can at all.
_SOON = timedelta(seconds=30)
_FORMS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": FusedResult,
        "description": "The result, in the form that `Accept` names",
        "content": {
            _FHIR: {"schema": {"type": "object", "description": "A FHIR R4 Bundle"}},
            _DICOM: {"schema": {"type": "string", "format": "binary", "description": "The report"}},
        },
    },
    304: {"description": "Not changed since `If-None-Match`"},
}
_TASK: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A FHIR R4 Task",
        "content": {_FHIR: {"schema": {"type": "object"}}},
    },
    304: _FORMS[304],
}
_OBJECT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A DICOM Part 10 file",
        "content": {_DICOM: {"schema": {"type": "string", "format": "binary"}}},
    },
    304: _FORMS[304],
}
Accept = Annotated[
    str,
    Header(
        description="`application/json`, `application/fhir+json`, or of a DICOM image `application/dicom`."
    ),
]


@router.get("/{job_id}/result", response_class=Response, responses=_FORMS)
async def result(request: Request, who: Reader, job_id: str, accept: Accept = "") -> Response:
    """What came of the job: as JSON, as a FHIR R4 bundle, or as the DICOM report for the image's study."""
    held, ref = await _job(request, who.tenant, job_id)
    job = await held.run(lookup.find, held, ref)
    ml, fused = job.readings.ml, job.result
    if not isinstance(ml, MlReading) or fused is None:
        raise _no_result(job)
    form = _form(request, accept, job)
    if form == _DICOM:
        return await _object(request, held, who, ref, DicomResult.SR)
    headers = _headers(job, form.rpartition("/")[2])
    if is_unchanged(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if form == _FHIR:
        body = json.dumps(bundle.bundle(job, ml, fused, await _patient_id(held, ref, job)))
        await note(held, AuditAction.EXPORTED, who, ref)
    else:
        body = fused.model_dump_json()
        await note(held, AuditAction.READ, who, ref)
    return Response(body, media_type=form, headers=headers)


@router.get("/{job_id}/task", response_class=Response, responses=_TASK)
async def as_task(request: Request, who: Reader, job_id: str) -> Response:
    """How the job stands, as a FHIR R4 Task: nothing of what the readers said."""
    held, ref = await _job(request, who.tenant, job_id)
    job = await held.run(lookup.find, held, ref)
    headers = poll_headers(job) | _headers(job, "task")
    if is_unchanged(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(json.dumps(task.task(job)), media_type=_FHIR, headers=headers)


@router.get("/{job_id}/dicom/{result}", response_class=Response, responses=_OBJECT)
async def as_dicom(request: Request, who: Reader, job_id: str, result: DicomResult) -> Response:
    """A DICOM object that the job adds to its image's study: the report, the overlay, or the map."""
    held, ref = await _job(request, who.tenant, job_id)
    return await _object(request, held, who, ref, result)


async def _object(
    request: Request, held: Resources, who: Caller, ref: JobRef, result: DicomResult
) -> Response:
    job = await held.run(lookup.find, held, ref)
    headers = _headers(job, result) | {"Content-Disposition": f'attachment; filename="{job.id}.{result}.dcm"'}
    stored = await held.run(_stored, held, ref, job, result)
    if is_unchanged(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    await note(held, AuditAction.EXPORTED, who, ref)
    return Response(stored, media_type=_DICOM, headers=headers)


def _stored(held: Resources, ref: JobRef, job: JobView, result: DicomResult) -> bytes:
    try:
        return held.blobs.get(blob_path(ref, KINDS[result].blob))
    except BlobMissingError as error:
        if job.image.dicom and job.result and _may_come(held, ref, job, result):
            said = "The DICOM objects of this job are being made."
            raise UnavailableError(said, code="dicom_not_made_yet") from error
        raise NotFoundError("There is no such DICOM object of this job.", code="no_dicom_object") from error


def _may_come(held: Resources, ref: JobRef, job: JobView, result: DicomResult) -> bool:
    if result is not DicomResult.SR and held.blobs.exists(blob_path(ref, Blob.DICOM_SR)):
        return False  # the report is kept last: there is no map of this image
    export = held.ledger.exports.read(ref)
    if export is not None:
        return export.delivery.state is DeliveryState.PENDING
    return kept(held.blobs, ref, DeliveryTarget.PACS) is None and _is_fresh(job)


def _is_fresh(job: JobView) -> bool:
    return job.ended_at is not None and datetime.now(UTC) - job.ended_at < _SOON


async def _job(request: Request, tenant: str, job_id: str) -> tuple[Resources, JobRef]:
    held = resources.of(request)
    ref = await held.run(lookup.reference, held, tenant, job_id)
    telemetry.note(job=ref)
    return held, ref


def _form(request: Request, accept: str, job: JobView) -> str:
    # Several headers are one list (RFC 9110, 5.3); the framework hands over one of them.
    accept = ", ".join(request.headers.getlist("accept")) or accept
    offered = (_JSON, _FHIR, _DICOM) if job.image.dicom else (_JSON, _FHIR)
    form = chosen(accept, offered)
    if form is None:
        raise NotAcceptableError(f"This result comes as {' or '.join(offered)}.")
    return form


def _headers(job: JobView, form: str) -> dict[str, str]:
    return {"ETag": f'"{job.id}.{job.version}.{form}"', "Cache-Control": "no-store", "Vary": "Accept"}


async def _patient_id(held: Resources, ref: JobRef, job: JobView) -> str | None:
    if job.image.dicom is None:
        return None
    try:
        return patient.patient_id(await held.run(held.blobs.get, blob_path(ref, Blob.DICOM_HEADER)))
    except BlobMissingError:
        return None


def _no_result(job: JobView) -> NotFoundError:
    return NotFoundError(f"There is no result: the job is {job.state}.", code="no_result")
