"""`/v1/jobs/{id}/report.pdf`: a finished job, to print and to file."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Json, TypeAdapter
from starlette.responses import Response

from services.gateway import lookup, report, resources
from services.gateway.audited import note
from services.gateway.caller import Reader
from services.gateway.logic import is_unchanged
from services.gateway.openapi import PROBLEM_RESPONSES
from services.gateway.resources import Resources
from shared import heatmap, telemetry
from shared.audit.event import AuditAction
from shared.contracts import MlReading
from shared.errors import BlobMissingError, NotFoundError
from shared.names import Blob, JobRef, blob_path

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEM_RESPONSES)

_PDF: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/pdf": {}}, "description": "The report"},
    304: {"description": "Not changed since `If-None-Match`"},
}
_CARD: TypeAdapter[dict[str, Any]] = TypeAdapter(Json[dict[str, Any]])

#: Each holds a few MiB and a core for a while; whoever comes later waits for a turn, without a thread.
_AT_ONCE = asyncio.Semaphore(2)


@router.get("/{job_id}/report.pdf", response_class=Response, responses=_PDF)
async def pdf(request: Request, who: Reader, job_id: str) -> Response:
    """A finished job to print: metadata as given, image, heatmap, gauge, both readings, the model, the disclaimer."""
    held = resources.of(request)
    ref = await held.run(lookup.reference, held, who.tenant, job_id)
    telemetry.note(job=ref)
    job = await held.run(lookup.find, held, ref)
    headers = {
        "ETag": f'"{job.id}.{job.version}.report.{report.REPORT_VERSION}"',
        "Cache-Control": "no-store",
    }
    ml, result = job.readings.ml, job.result
    if result is None or not isinstance(ml, MlReading):
        raise NotFoundError("There is no report: the job has no result (yet).", code="no_report")
    if is_unchanged(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    async with _AT_ONCE:
        document = await held.run(
            lambda: report.render(job, ml, result, _pictures(held, ref, ml), _card(held, ml))
        )
    await note(held, AuditAction.REPORT, who, ref)
    headers["Content-Disposition"] = f'attachment; filename="mediscan-{job.id}.pdf"'
    return Response(document, media_type="application/pdf", headers=headers)


def _pictures(held: Resources, ref: JobRef, ml: MlReading) -> report.Pictures | None:
    try:
        preview = held.blobs.get(blob_path(ref, Blob.PREVIEW))
    except BlobMissingError:
        return None
    return report.Pictures(preview, heatmap.draw(preview, ml.cam))


def _card(held: Resources, ml: MlReading) -> dict[str, Any] | None:
    """Of the model that read, as ML workers offer it; another's of the same name would say what is not so."""
    offered = held.ledger.models().cards.get(f"{ml.model.name}/{ml.model.version}")
    card = _CARD.validate_python(offered) if offered else {}
    is_same = any(file.get("sha256") == ml.model.sha256 for file in card.get("files", {}).values())
    return card if is_same else None
