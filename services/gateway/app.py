"""The gateway as a FastAPI application. Imports no worker, no TensorFlow, no LiteRT; a test holds it to that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from services.gateway import docs_page, openapi, problems, routes_health, routes_jobs, routes_models
from services.gateway.access_log import AccessLog
from services.gateway.headers import SecurityHeaders
from services.gateway.refused_logins import record_now_and_then
from services.gateway.resources import Resources
from shared.contracts import DISCLAIMER


def create_app(resources: Resources) -> FastAPI:
    """An application over resources that are open already; it closes them when it stops."""
    app = FastAPI(
        title="MediScan",
        version="1",
        description=DISCLAIMER,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.resources = resources
    app.include_router(routes_jobs.router)
    app.include_router(routes_models.router)
    app.include_router(routes_health.router)
    app.include_router(docs_page.router)
    problems.install(app)
    openapi.install(app)
    app.add_middleware(AccessLog)
    app.add_middleware(SecurityHeaders, hsts_s=resources.settings.hsts_s)  # the outermost: on errors too
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    recorder = asyncio.create_task(record_now_and_then(app.state.resources))
    yield
    recorder.cancel()
    with suppress(asyncio.CancelledError):
        await recorder
    app.state.resources.close()
