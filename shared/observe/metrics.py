"""Prometheus metrics of one process, served on an address of their own where a setting asks for that.

What the house as a whole looks like is told by the reaper alone (`shared/observe/house_metrics.py`); here is what a
process did itself. Names, what they mean and what to do about them: docs/operate.md. A label is a word of ours: no
job, no tenant, nothing that anybody wrote.
"""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shared.contracts import GeminiReading, MlReading
from shared.errors import SetupError
from shared.ledger import JobRecord
from shared.names import Stage
from shared.observe.durations import durations
from shared.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.registry import Collector

    from shared.observe.meters import Meters

log = logging.getLogger(__name__)

#: Of this process; None while nobody asked for metrics, which then cost nothing.
_meters: "Meters | None" = None


def serve(settings: Settings, *more: "Collector", is_forking: bool = False) -> None:
    """Begin to count, and serve what was counted; nothing where no port is set. SetupError: the port is taken.

    more: collectors beside those of this process. is_forking: children are forked from here on; what they count is
    served by their parent.
    """
    global _meters  # noqa: PLW0603 - one registry a process, as the library has it
    if settings.metrics_port is None:
        return
    # Here, not at the top: who serves no metrics does not load the library.
    from prometheus_client import start_http_server  # noqa: PLC0415

    from shared.observe.meters import Meters, forking_registry, plain_registry  # noqa: PLC0415

    counted, served = forking_registry(_folder()) if is_forking else plain_registry()
    for collector in more:
        served.register(collector)
    _meters = Meters(counted)
    port = _listen(settings, served, start_http_server)
    log.info("metrics at http://%s:%d/metrics", settings.metrics_host, port)


def _listen(settings: Settings, served: "CollectorRegistry", start: Callable[..., Any]) -> int:
    try:
        server, _ = start(settings.metrics_port, settings.metrics_host, served)
    except OSError as error:
        where = f"{settings.metrics_host}:{settings.metrics_port}"
        raise SetupError(
            f"metrics cannot be served on {where} (MEDISCAN_METRICS_PORT): {error.strerror}"
        ) from error
    return int(server.server_port)


def _folder() -> str:
    """Where children leave what they counted, for as long as this process lives; one that is killed leaves it."""
    owner = os.getpid()
    folder = tempfile.mkdtemp(prefix=f"mediscan-metrics-{owner}-")

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


# --- what is counted --------------------------------------------------------------------------------------


def answered(method: str, route: str, status: int, seconds: float) -> None:
    """A request was answered."""
    if _meters is not None:
        _meters.requests.labels(method, route, status).inc()
        _meters.request_seconds.labels(route).observe(seconds)


def worked(stage: Stage, outcome: str, seconds: float) -> None:
    """A claimed stage was worked on."""
    if _meters is not None:
        _meters.work_seconds.labels(stage, outcome).observe(seconds)


def ended(job: JobRecord) -> None:
    """A job ended; called once for each."""
    if _meters is not None:
        _count_path(_meters, job)
        _count_readings(_meters, job)
        _count_result(_meters, job)


def _count_path(meters: "Meters", job: JobRecord) -> None:
    took = durations(job)
    meters.job_seconds.labels(job.state).observe(took["total"])
    for stage in Stage:
        for part, name in (("queued", f"{stage}_queued"), ("read", stage)):
            if name in took:
                meters.stage_seconds.labels(stage, part).observe(took[name])


def _count_readings(meters: "Meters", job: JobRecord) -> None:
    if isinstance(job.ml, MlReading):
        model = f"{job.ml.model.name}/{job.ml.model.version}"
        meters.readings.labels(model, job.ml.label, job.ml.abstain_reason or "none").inc()
        meters.ood_score.labels(model).observe(job.ml.ood_score)
        for step in ("decode", "infer", "preview"):
            if step in job.ml.timings_ms:
                meters.step_seconds.labels(step).observe(job.ml.timings_ms[step] / 1000)
    if isinstance(job.gemini, GeminiReading) and "call" in job.gemini.timings_ms:
        meters.step_seconds.labels("gemini_call").observe(job.gemini.timings_ms["call"] / 1000)


def _count_result(meters: "Meters", job: JobRecord) -> None:
    if job.result is not None:
        meters.results.labels(job.result.label or "undecided", job.result.agreement).inc()
        for reason in job.result.review_reasons:
            meters.reviews.labels(reason).inc()
