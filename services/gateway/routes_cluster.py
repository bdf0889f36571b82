"""`/v1/cluster`: the whole house at one moment, for its operators."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway import resources
from services.gateway.caller import Admin
from services.gateway.openapi import PROBLEM_RESPONSES
from shared.contracts import ClusterView
from shared.observe import cluster

router = APIRouter(prefix="/v1/cluster", tags=["operators"], responses=PROBLEM_RESPONSES)


@router.get("")
async def shown(request: Request, response: Response, _who: Admin) -> ClusterView:
    """Queues, workers, throughput, fallbacks, rescues and what fills up, all tenants together.

    Found out at most once a second, however many look: it says nothing of any one job or tenant.
    """
    response.headers["Cache-Control"] = "no-store"
    held = resources.of(request)
    return await held.cluster.get(lambda: held.run(cluster.look, held.ledger, held.queue, held.blobs))
