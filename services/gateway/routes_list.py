"""`GET /v1/jobs`: the caller's jobs, newest first."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway import job_list, resources
from services.gateway.audited import note_listed
from services.gateway.caller import Reader
from services.gateway.job_filter import JobFilter
from services.gateway.logic import is_unchanged, page_etag
from services.gateway.openapi import PROBLEM_RESPONSES, UNCHANGED
from shared.contracts import JobPage, Label, RiskBand
from shared.job_state import JobState

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEM_RESPONSES)

Limit = Annotated[int, Query(ge=1, le=100, description="Most jobs of one page.")]
Cursor = Annotated[str | None, Query(max_length=128, description="`next_cursor` of the page before.")]
Since = Annotated[datetime | None, Query(description="Submitted then or later; UTC where it names no zone.")]
Until = Annotated[datetime | None, Query(description="Submitted before.")]
OfBatch = Annotated[str | None, Query(max_length=64, description="Submitted with this batch.")]
NeedsReview = Annotated[bool | None, Query(description="Jobs with a result that says so, or says not.")]


@router.get("", response_model=JobPage, responses=UNCHANGED)
async def listed(
    request: Request,
    who: Reader,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    state: JobState | None = None,
    label: Label | None = None,
    risk_band: RiskBand | None = None,
    needs_review: NeedsReview = None,
    since: Since = None,
    until: Until = None,
    batch: OfBatch = None,
) -> Response:
    """Your jobs, newest first; those alone for which all that is given holds.

    A page may hold fewer jobs than `limit`, or none, and still have a `next_cursor`: a search ends after a while, and
    goes on there. `next_cursor` is null on the last page alone.
    """
    held = resources.of(request)
    wanted = JobFilter(state, label, risk_band, needs_review, since, until, batch)
    page = await held.run(job_list.page, held, who.tenant, wanted, limit, cursor)
    headers = {"ETag": page_etag(page), "Cache-Control": "no-store"}
    if is_unchanged(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    await note_listed(held, who, page.items)
    return Response(page.model_dump_json(), media_type="application/json", headers=headers)
