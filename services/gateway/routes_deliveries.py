"""`/v1/jobs/{id}/deliveries`: what became of a job's webhook and of its DICOM objects, and once more, please."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway import lookup, resources
from services.gateway.audited import note
from services.gateway.caller import Reader, Submitter
from services.gateway.logic import check_redeliverable
from services.gateway.openapi import PROBLEM_RESPONSES
from services.gateway.resources import Resources
from shared import telemetry
from shared.audit.event import AuditAction
from shared.contracts import Delivery, DeliveryPage, DeliveryTarget
from shared.names import JobRef
from shared.webhooks.log import kept

router = APIRouter(prefix="/v1/jobs", tags=["webhooks"], responses=PROBLEM_RESPONSES)


@router.get("/{job_id}/deliveries", response_model=DeliveryPage)
async def deliveries(request: Request, who: Reader, job_id: str) -> Response:
    """Every attempt to tell receiver and PACS of the job's end: when, with what outcome, and when the next one is."""
    held = resources.of(request)
    ref = await held.run(lookup.reference, held, who.tenant, job_id)
    telemetry.note(job=ref)
    page = await held.run(_page, held, ref)
    return Response(
        page.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"}
    )


@router.post("/{job_id}/deliveries/redeliver", status_code=202, response_model=DeliveryPage)
async def redeliver(request: Request, who: Submitter, job_id: str) -> Response:
    """Have the receiver told once more, at once and with the same `webhook-id`, whatever became of it before.

    Where there is a PACS, the DICOM objects are sent there once more too: it holds them once all the same.
    If that fails it is tried again as the first time. Harmless to repeat while it is being sent.
    """
    held = resources.of(request)
    ref = await held.run(lookup.reference, held, who.tenant, job_id)
    telemetry.note(job=ref)
    check_redeliverable(await held.run(_page, held, ref))
    await note(held, AuditAction.REDELIVERED, who, ref)
    await held.run(_send_again, held, ref)
    page = await held.run(_page, held, ref)
    return Response(
        page.model_dump_json(),
        status_code=202,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _send_again(held: Resources, ref: JobRef) -> None:
    for target in DeliveryTarget:
        deliveries = held.ledger.deliveries_to(target)
        if deliveries.again(ref):
            continue
        ended = kept(held.blobs, ref, target)
        if ended is not None:
            deliveries.again(ref, (ended.url, ended.delivery))


def _page(held: Resources, ref: JobRef) -> DeliveryPage:
    lookup.find(held, ref)  # NotFoundError where there is no such job, or it is somebody else's
    found = (_delivery(held, ref, target) for target in DeliveryTarget)
    return DeliveryPage(items=tuple(delivery for delivery in found if delivery))


def _delivery(held: Resources, ref: JobRef, target: DeliveryTarget) -> Delivery | None:
    # In this order: what leaves the ledger is in the blob store before.
    live = held.ledger.deliveries_to(target).read(ref)
    if live is not None:
        return live.delivery
    ended = kept(held.blobs, ref, target)
    return ended.delivery if ended else None
