"""`/v1/jobs/{id}/result`, `.../task`: what came of a job, in the form that the caller's system speaks."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from services.gateway import lookup, resources
from services.gateway.accept import chosen
from services.gateway.audited import note
from services.gateway.caller import Reader
from services.gateway.fhir import bundle, patient, task
from services.gateway.logic import is_unchanged, poll_headers
from services.gateway.openapi import PROBLEM_RESPONSES
from services.gateway.resources import Resources
from shared.audit.event import AuditAction
from shared.contracts import FusedResult, JobView, MlReading
from shared.errors import BlobMissingError, NotAcceptableError, NotFoundError
from shared.names import Blob, JobRef, blob_path

router = APIRouter(prefix="/v1/jobs", tags=["results"], responses=PROBLEM_RESPONSES)

_JSON, _FHIR = "application/json", bundle.MEDIA_TYPE
_FORMS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": FusedResult,
        "description": "The result, in the form that `Accept` names",
        "content": {_FHIR: {"schema": {"type": "object", "description": "A FHIR R4 Bundle"}}},
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
Accept = Annotated[str, Header(description="`application/json` or `application/fhir+json`.")]


@router.get("/{job_id}/result", response_class=Response, responses=_FORMS)
async def result(request: Request, who: Reader, job_id: str, accept: Accept = "") -> Response:
    """What came of the job: as JSON, or as a FHIR R4 bundle for a hospital's systems."""
    held, ref = await _job(request, who.tenant, job_id)
    job = await held.run(lookup.find, held, ref)
    ml, fused = job.readings.ml, job.result
    if not isinstance(ml, MlReading) or fused is None:
        raise _no_result(job)
    form = _form(request, accept)
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


async def _job(request: Request, tenant: str, job_id: str) -> tuple[Resources, JobRef]:
    held = resources.of(request)
    ref = await held.run(lookup.reference, held, tenant, job_id)
    request.state.job = str(ref)  # for the access log
    return held, ref


def _form(request: Request, accept: str) -> str:
    # Several headers are one list (RFC 9110, 5.3); the framework hands over one of them.
    accept = ", ".join(request.headers.getlist("accept")) or accept
    form = chosen(accept, (_JSON, _FHIR))
    if form is None:
        raise NotAcceptableError(f"The result comes as {_JSON} or {_FHIR}.")
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
