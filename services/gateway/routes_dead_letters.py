"""`/v1/dead-letters`: for the operator of a tenant, the jobs that were given up, and another try for them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway import dead_letters, lookup, resources
from services.gateway.caller import Admin
from services.gateway.openapi import PROBLEM_RESPONSES
from services.gateway.routes_jobs import tried_again
from shared.contracts import DeadLetter, DeadLetterPage, JobView

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"], responses=PROBLEM_RESPONSES)

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=128, description="`next_cursor` of the page before.")]


@router.get("")
async def listed(
    request: Request, response: Response, who: Admin, limit: Limit = 50, cursor: Cursor = None
) -> DeadLetterPage:
    """The tenant's jobs that were given up, newest first."""
    response.headers["Cache-Control"] = "no-store"
    held = resources.of(request)
    return await held.run(dead_letters.page, held, who.tenant, limit, cursor)


@router.get("/{job_id}")
async def shown(request: Request, response: Response, who: Admin, job_id: str) -> DeadLetter:
    """Why one of them was given up."""
    response.headers["Cache-Control"] = "no-store"
    held = resources.of(request)
    ref = await held.run(lookup.reference, held, who.tenant, job_id)
    return await held.run(dead_letters.one, held, ref)


@router.post("/{job_id}/replay", status_code=202, response_model=JobView)
async def replay(request: Request, who: Admin, job_id: str) -> Response:
    """Have it read again, as a new job (`retry_of`); it is then no dead letter any more."""
    held = resources.of(request)
    ref = await held.run(lookup.reference, held, who.tenant, job_id)
    await held.run(dead_letters.one, held, ref)
    answer = await tried_again(request, held, who, ref)
    await held.run(held.ledger.forget_dead_letter, ref)
    return answer
