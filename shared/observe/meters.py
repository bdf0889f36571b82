"""The metrics that processes count themselves, and the two kinds of registry behind them."""

import os

from billiard.process import current_process
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    multiprocess,
    values,
)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


class Meters:
    """Every metric that a process may count; those that it never counts are not served."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "mediscan_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "mediscan_http_request_seconds",
            "From the request's head to the end of the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.work_seconds = Histogram(
            "mediscan_work_seconds",
            "One claimed stage, from the claim to what became of it, at the worker.",
            ["stage", "outcome"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.job_seconds = Histogram(
            "mediscan_job_seconds",
            "From submission to the end, by how a job ended.",
            ["state"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "mediscan_stage_seconds",
            "A stage of an ended job: in the queue, and read, from its first claim to its settlement.",
            ["stage", "part"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.step_seconds = Histogram(
            "mediscan_step_seconds",
            "A step inside a reading: decode, infer, preview, gemini_call.",
            ["step"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.readings = Counter(
            "mediscan_ml_readings",
            "ML readings by model, label and why the reading abstained.",
            ["model", "label", "abstained"],
            registry=registry,
        )
        self.ood_score = Histogram(
            "mediscan_ml_ood_score",
            "How far images were from the kind that the model was trained on; above 1 a reading abstains.",
            ["model"],
            buckets=(0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 2, 4),
            registry=registry,
        )
        self.results = Counter(
            "mediscan_results",
            "Results by label and by what the two readers made of each other.",
            ["label", "agreement"],
            registry=registry,
        )
        self.reviews = Counter(
            "mediscan_reviews",
            "Why results need review; one may have several reasons.",
            ["reason"],
            registry=registry,
        )


def plain_registry() -> tuple[CollectorRegistry, CollectorRegistry]:
    """To count in and to serve: the same one, with what the system says of this process."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry, registry


def forking_registry(folder: str) -> tuple[CollectorRegistry, CollectorRegistry]:
    """To count in and to serve, where children count into files in `folder`.

    A file belongs to a child's place in the pool and not to its process id, so that any number of children that
    died one after the other leave no more files than there are places.
    """
    # The library asks for this variable; it is how it was built, and no setting of ours.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    values.ValueClass = values.MultiProcessValue(_place)  # type: ignore[no-untyped-call]
    served = CollectorRegistry()
    ProcessCollector(registry=served)
    multiprocess.MultiProcessCollector(served, path=folder)  # type: ignore[no-untyped-call]
    return CollectorRegistry(), served


def _place() -> str:
    return f"child{getattr(current_process(), 'index', 'less')}"
