"""The fusion task: claim -> decide -> complete -> archive."""

from typing import Any

from celery import Celery

from services.fusion.archive import archive
from services.fusion.settings import FusionSettings
from shared.contracts import MlReading
from shared.fusion.logic import fuse
from shared.ledger import Claim
from shared.names import Stage, Task
from shared.observe import tracing
from shared.worker import Resources, work_on


def register(app: Celery, settings: FusionSettings) -> None:
    """Make the task known to `app`."""
    resources = Resources(app, settings)

    @app.task(name=Task.FUSION_FUSE, bind=True, soft_time_limit=8, time_limit=10)  # type: ignore[untyped-decorator]
    def fuse_job(task: Any, job: str) -> None:
        work_on(
            resources, Stage.FUSION, job, task.request.id, lambda claim: _fuse(resources, settings, claim)
        )


def _fuse(resources: Resources, settings: FusionSettings, claim: Claim) -> None:
    ml, gemini = claim.job.ml, claim.job.gemini
    if not isinstance(ml, MlReading) or gemini is None:
        raise TypeError("fusion was opened before both readings were settled")
    finished = resources.ledger.complete(claim, fuse(ml, gemini, settings.policy, claim.job.prior))
    if finished is not None:
        with tracing.span("archive"):
            archive(finished, resources.ledger, resources.blobs)
