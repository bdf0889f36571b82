"""`/healthz`: this process is up. `/readyz`: what is submitted now will be worked on."""

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from services.gateway import resources
from services.gateway.caller import is_operator
from services.gateway.logic import RETRY_AFTER_S, Heartbeats, readiness
from services.gateway.openapi import PROBLEM_RESPONSES
from services.gateway.resources import Resources
from shared.contracts import Readiness, ReadyStatus
from shared.errors import LedgerUnavailableError

router = APIRouter(tags=["health"], responses=PROBLEM_RESPONSES)


class Health(BaseModel):
    """That this process answers; nothing about anything else."""

    status: str = "ok"


@router.get("/healthz")
async def healthz() -> Health:
    """Whether this process is up: touches nothing outside it."""
    return Health()


@router.get(
    "/readyz", response_model=Readiness | ReadyStatus, responses={503: {"model": Readiness | ReadyStatus}}
)
async def readyz(request: Request) -> Response:
    """Whether ledger and blob store take writes and workers are alive (by heartbeat); 503 where one is missing.

    A caller with the scope `admin` is also told which. Others are told what was so within the last second: a look
    writes to both stores, and anybody may ask.
    """
    held = resources.of(request)
    operator = await is_operator(request)
    found = await (held.run(_look, held) if operator else held.readiness.get(lambda: held.run(_look, held)))
    shown = found if operator else ReadyStatus(status=found.status)
    if not found.missing:
        return _answer(shown, 200)
    return _answer(shown, 503, {"Retry-After": str(RETRY_AFTER_S)})


def _look(held: Resources) -> Readiness:
    return readiness(
        _heard(held), blobs_writable=held.blobs.is_writable(), gemini_enabled=held.settings.gemini_enabled
    )


def _heard(held: Resources) -> Heartbeats | None:
    try:
        held.ledger.check_writable()
        return Heartbeats(held.ledger.alive(), held.ledger.reaper_alive(), held.ledger.gemini_circuit())
    except LedgerUnavailableError:
        return None


def _answer(found: ReadyStatus, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(
        found.model_dump_json(),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
