"""`/v1/batches`: many images in one request, one status, one file of results."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response, StreamingResponse

from services.gateway import batches, resources
from services.gateway.admission import admit
from services.gateway.batch_form import BatchForm
from services.gateway.batch_intake import BatchIntake, TakenBatch
from services.gateway.body import BodyReader, check_declared
from services.gateway.caller import Reader, Submitter
from services.gateway.logic import batch_etag, batch_fields, batch_headers, is_unchanged
from services.gateway.multipart import MultipartDecoder, boundary_of
from services.gateway.openapi import BATCH_BODY, IDEMPOTENCY_KEY, JSON_LINES, PROBLEM_RESPONSES, UNCHANGED
from services.gateway.repeats import idempotency_alias
from services.gateway.resources import Resources
from services.gateway.routes_jobs import CALLER_GONE, Prefer, Wait
from services.gateway.settings import GatewaySettings
from services.gateway.waiting import preferred_wait_s, unless_gone
from shared.contracts import BatchState, BatchView
from shared.names import BatchRef, JobRef, new_job_id

router = APIRouter(prefix="/v1/batches", tags=["batches"], responses=PROBLEM_RESPONSES)

#: Fields beside the files, and some room to name a wrong one in a clear answer.
_OTHER_PARTS = 16
#: One look at a batch is one at each of its jobs: never more often than this, however fast they change.
_PAUSE_S = 0.5

BatchId = Annotated[str, Path(description="As the submission named it.")]

_REPEATED: dict[int | str, dict[str, Any]] = {
    200: {"model": BatchView, "description": "The batch was there before: the submission is a repeated one"}
}


@router.post(
    "",
    status_code=202,
    response_model=BatchView,
    openapi_extra=BATCH_BODY | IDEMPOTENCY_KEY,
    responses=_REPEATED,
)
async def submit(request: Request, who: Submitter) -> Response:
    """Submit many images, or a zip of them. Each becomes a job, or is refused on its own; all of it is durable then.

    With an `Idempotency-Key` the same request may be sent again, and makes no second batch.
    """
    held = resources.of(request)
    alias = idempotency_alias(request)
    form = _open_form(request, held.settings)
    with held.uploads.one():
        admitted = await held.run(admit, held, JobRef(who.tenant, new_job_id()), who)
        request.state.refusal_headers = admitted.headers()
        admitted.check()
        taken = await BatchIntake(held, who, form, alias.text if alias else None, admitted).take_in()
    return await _answer(held, taken)


async def _answer(held: Resources, taken: TakenBatch) -> Response:
    view = await held.run(batches.view, held, taken.ref)
    headers = batch_headers(view) | {"Location": view.links.self}
    if taken.is_new:
        return _json(view, headers, status=202)
    return _json(view, headers | {"Idempotency-Replayed": "true"})


@router.get("/{batch_id}", response_model=BatchView, responses=UNCHANGED)
async def read(
    request: Request, who: Reader, batch_id: BatchId, wait: Wait = None, prefer: Prefer = None
) -> Response:
    """The batch as it stands: how many of its items stand where, and which were refused.

    With `wait` it is answered as soon as all is over, or with `If-None-Match` as soon as something is different; as it
    stands where the time is up first.
    """
    held, ref = resources.of(request), BatchRef(who.tenant, batch_id)
    known = request.headers.get("if-none-match")
    preferred = preferred_wait_s(prefer) if wait is None else None
    wait_s = min(wait or preferred or 0, held.settings.max_wait_s)
    found = _until(held, ref, known, wait_s)
    view = await (unless_gone(request.receive, found) if wait_s else found)
    if view is None:
        return Response(status_code=CALLER_GONE)
    headers = batch_headers(view) | ({} if preferred is None else {"Preference-Applied": f"wait={wait_s}"})
    if is_unchanged(known, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return _json(view, headers)


@router.get("/{batch_id}/results.jsonl", response_class=Response, responses=JSON_LINES)
async def results(request: Request, who: Reader, batch_id: BatchId) -> Response:
    """A line of JSON for each item, in the order of the submission: its job as it stands, or the problem with it."""
    held, ref = resources.of(request), BatchRef(who.tenant, batch_id)
    batch = await held.run(batches.find, held, ref)
    lines = batches.results(held, ref, batch, who)
    first = await anext(lines)  # where it cannot be had, that is said before anything else

    async def all_lines() -> AsyncIterator[bytes]:
        yield first
        async for some in lines:
            yield some

    return StreamingResponse(
        all_lines(),
        media_type="application/jsonl",
        headers={"Cache-Control": "no-store"},
    )


@router.post("/{batch_id}/cancel", response_model=BatchView)
async def cancel(request: Request, who: Submitter, batch_id: BatchId) -> Response:
    """Call off every job of the batch that is not over. Harmless to repeat; refused where all have ended before."""
    held, ref = resources.of(request), BatchRef(who.tenant, batch_id)
    view = await held.run(batches.cancel, held, ref, who)
    return _json(view, batch_headers(view))


@router.delete("/{batch_id}", status_code=204)
async def erase(request: Request, who: Submitter, batch_id: BatchId) -> Response:
    """Erase the batch with all of its jobs, called off if they run: images, readings, results."""
    held, ref = resources.of(request), BatchRef(who.tenant, batch_id)
    await held.run(batches.erase, held, ref, who)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


async def _until(held: Resources, ref: BatchRef, known: str | None, wait_s: float) -> BatchView:
    give_up = time.monotonic() + wait_s
    view = await held.run(batches.view, held, ref)
    if wait_s <= 0 or _is_news(view, known):
        return view
    with held.waits.one(ref.tenant), held.notices.watch(ref) as watch:
        while not held.notices.stopping and (left := give_up - time.monotonic()) > 0:
            await watch.woken(left)
            view = await held.run(batches.view, held, ref)
            if _is_news(view, known):
                break
            await asyncio.sleep(max(0.0, min(_PAUSE_S, give_up - time.monotonic())))
    return view


def _is_news(view: BatchView, known: str | None) -> bool:
    if view.state is not BatchState.RUNNING:
        return True
    return known is not None and not is_unchanged(known, batch_etag(view))


def _open_form(request: Request, settings: GatewaySettings) -> BatchForm:
    check_declared(request.headers, settings.max_batch_bytes)
    boundary = boundary_of(request.headers.get("content-type", ""))
    decoder = MultipartDecoder(boundary, max_parts=settings.max_batch_items + _OTHER_PARTS)
    body = BodyReader(request.receive, max_bytes=settings.max_batch_bytes, timeout_s=settings.batch_timeout_s)
    return BatchForm(body, decoder, batch_fields(settings))


def _json(view: BatchView, headers: dict[str, str], status: int = 200) -> Response:
    return Response(
        view.model_dump_json(), status_code=status, media_type="application/json", headers=headers
    )
