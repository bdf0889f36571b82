"""The gateway as a FastAPI application. Imports no worker, no TensorFlow, no LiteRT; a test holds it to that."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI

from services.gateway import (
    docs_page,
    openapi,
    problems,
    routes_batches,
    routes_cluster,
    routes_dead_letters,
    routes_deliveries,
    routes_dicomweb,
    routes_health,
    routes_jobs,
    routes_list,
    routes_models,
    routes_page,
    routes_report,
    routes_results,
)
from services.gateway.access_log import AccessLog
from services.gateway.cors import Cors
from services.gateway.headers import SecurityHeaders
from services.gateway.links import Links
from services.gateway.neighbours import OwnPagesOnly
from services.gateway.refused_logins import record_now_and_then
from services.gateway.resources import Resources
from services.gateway.settings import GatewaySettings
from shared.names import JobRef


def create_app(resources: Resources) -> FastAPI:
    """An application over resources that are open already; it closes them when it stops."""
    app = FastAPI(
        title="MediScan",
        version="1",
        description=openapi.ABOUT,
        generate_unique_id_function=openapi.operation_id,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        # Ours are `shared/observe/tracing.py` and its neighbours; the framework's own would send addresses and queries.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.resources = resources
    app.include_router(routes_jobs.router)
    app.include_router(routes_list.router)
    app.include_router(routes_batches.router)
    app.include_router(routes_report.router)
    app.include_router(routes_dead_letters.router)
    app.include_router(routes_results.router)
    app.include_router(routes_deliveries.router)
    app.include_router(routes_dicomweb.router)
    app.include_router(routes_models.router)
    app.include_router(routes_cluster.router)
    app.include_router(routes_health.router)
    app.include_router(docs_page.router)
    app.include_router(routes_page.router)
    problems.install(app)
    openapi.install(app)
    _guard(app, resources.settings)
    return app


def _guard(app: FastAPI, settings: GatewaySettings) -> None:
    # From the inside out: what stands outside is on errors and refusals too.
    if settings.auth == "open":
        app.add_middleware(OwnPagesOnly, origins=settings.origins)
    app.add_middleware(AccessLog)
    if settings.origins:
        app.add_middleware(Cors, origins=settings.origins)
    app.add_middleware(Links)
    app.add_middleware(SecurityHeaders, hsts_s=settings.hsts_s)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    held: Resources = app.state.resources
    running = [asyncio.create_task(task) for task in _beside_requests(held)]
    yield
    for task in running:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    held.close()


def _beside_requests(held: Resources) -> tuple[Coroutine[Any, Any, None], ...]:
    async def versions(refs: Sequence[JobRef]) -> dict[JobRef, int]:
        return await held.run(held.ledger.versions, refs)

    return (
        record_now_and_then(held),
        held.notices.listen(),
        held.notices.compare(versions, held.settings.wait_look_s),
    )
