"""What the three Celery services have in common: claim, work, give back on error, heartbeat, start-up checks."""

import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery, bootsteps
from celery.signals import task_failure

from shared import telemetry
from shared.blob_store import BlobStore
from shared.contracts import GeminiReading, MlReading, UnavailableReading
from shared.errors import (
    BlobStoreUnavailableError,
    BrokerUnavailableError,
    LedgerUnavailableError,
    MediScanError,
    SetupError,
)
from shared.ledger import Claim, Ledger, Settled
from shared.names import JobRef, Stage
from shared.observe import metrics, tracing
from shared.queue import check, publish, queues_of
from shared.refusal import why_refused
from shared.settings import Settings
from shared.stopping import explained, stop_within

log = logging.getLogger(__name__)

#: How long a worker rides out an absent ledger before a reading is abandoned to its lease.
_PATIENCE_S = 20.0
_HEARTBEAT_S = 5.0


@dataclass
class Resources:
    """What a working process holds open. Built before the fork, opened by each child at first use after it."""

    app: Celery
    settings: Settings

    @cached_property
    def ledger(self) -> Ledger:
        """This process's ledger."""
        return Ledger.open(self.settings, patience_s=_PATIENCE_S)

    @cached_property
    def blobs(self) -> BlobStore:
        """This process's blob store."""
        return BlobStore.open(self.settings.blob_url)


def work_on(
    resources: Resources,
    stage: Stage,
    job: str,
    delivery: str,
    work: Callable[[Claim], None],
) -> None:
    """Claim a stage and do `work`; on an unexpected error give it back, so that it is tried again or buried.

    An absence of the blob store buries nothing: the stage is tried again until the store is back or the job expires.

    delivery: the Celery task id. It is the claim's token, so the parent process can give back what its child
    died holding.
    """
    ref = JobRef.parse(job)
    with telemetry.about(job=ref, stage=stage):
        claim = resources.ledger.claim(ref, stage, token=delivery)
        if claim is not None:
            with telemetry.about(attempt=claim.job.stages[stage].deliveries), _span(claim):
                _work_or_give_back(resources, claim, work)


def _span(claim: Claim) -> AbstractContextManager[None]:
    (tenant, job), attempt = claim.job.ref, claim.job.stages[claim.stage].deliveries
    return tracing.span(claim.stage, parent=claim.job.trace, job=job, tenant=tenant, attempt=attempt)


def _work_or_give_back(resources: Resources, claim: Claim, work: Callable[[Claim], None]) -> None:
    began = time.perf_counter()
    try:
        work(claim)
    except LedgerUnavailableError:
        log.exception("the ledger went away")  # the lease runs out and the reaper repeats it
    except Exception as error:
        log.exception("%s failed", claim.stage)
        metrics.worked(claim.stage, "failed", time.perf_counter() - began)
        if isinstance(error, BlobStoreUnavailableError) and not resources.blobs.is_writable():
            resources.ledger.put_off(claim)  # the store is away for all jobs: this one is not poison
        else:
            resources.ledger.release(claim, _public(error))
    else:
        metrics.worked(claim.stage, "done", time.perf_counter() - began)


def settle(
    resources: Resources,
    claim: Claim,
    reading: MlReading | GeminiReading | UnavailableReading,
) -> None:
    """Store a reading; if it was the second of the two, tell fusion."""
    outcome = resources.ledger.settle(claim, reading)
    if outcome is Settled.LATE:
        log_late()
    if outcome is not Settled.FUSE:
        return
    try:
        publish(resources.app, claim.job.ref, Stage.FUSION, claim.job.priority)
    except BrokerUnavailableError:
        log.warning("fusion could not be published; the reaper will")


def log_late() -> None:
    """Say that what was worked out no longer matters: the job is over, or somebody else's."""
    log.info("a reading came too late to matter")


def run(
    app: Celery,
    stage: Stage,
    settings: Settings,
    *,
    pool: str,
    concurrency: int,
    announce: Callable[[Ledger], None] = lambda _: None,
) -> None:
    """Serve a stage's queue until told to stop. SetupError if the ledger does not answer in time.

    announce: what else to say in the ledger with each heartbeat.
    """
    ledger = Ledger.open(settings, patience_s=1)
    wait_for(ledger, settings)
    check(app, stage)
    metrics.serve(settings, is_forking=pool == "prefork")
    _beat_from(app, stage, ledger, announce, concurrency)
    _give_back_when_child_dies(ledger, stage)
    stop_within(settings.lease_s(stage))
    node = f"{stage}@{socket.gethostname()}-{os.getpid()}"
    options = [
        "-Q",
        ",".join(queues_of(app, stage)),
        "-P",
        pool,
        "-c",
        str(concurrency),
        "-n",
        node,
        "-l",
        settings.log_level,
    ]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with explained():
        app.worker_main(["-q", "worker", *options, *quiet])


def wait_for(ledger: Ledger, settings: Settings) -> None:
    """Return once the ledger takes writes; SetupError after `startup_timeout_s`, or at once where it refuses us."""
    give_up = time.monotonic() + settings.startup_timeout_s
    while True:
        try:
            return ledger.check_writable()
        except LedgerUnavailableError as error:
            if refused := why_refused(error):
                raise SetupError(f"the ledger at MEDISCAN_REDIS_URL {refused}") from error
            if time.monotonic() > give_up:
                raise SetupError("the ledger at MEDISCAN_REDIS_URL does not answer") from error
            time.sleep(0.2)


def exit_on_setup_error(main: Callable[[], None]) -> None:
    """Run a service's entry point; a SetupError becomes one clear line and exit status 1."""
    try:
        main()
    except SetupError as error:
        sys.stderr.write(f"mediscan: {error.detail}\n")
        sys.exit(1)


def _beat_from(
    app: Celery, stage: Stage, ledger: Ledger, announce: Callable[[Ledger], None], slots: int
) -> None:
    def beat(node: str) -> None:
        try:
            announce(ledger)  # first: whoever finds this node alive finds what it offers
            ledger.heartbeat(stage, node, slots)
        except LedgerUnavailableError:
            log.warning("no heartbeat: the ledger is away")

    class Heartbeat(bootsteps.StartStopStep):  # type: ignore[misc]
        """Says in the ledger that this node consumes its queue; starts once it does."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Any) -> None:
            beat(parent.hostname)
            self.timer = parent.timer.call_repeatedly(_HEARTBEAT_S, beat, (parent.hostname,))

        def stop(self, parent: Any) -> None:
            self.timer.cancel()

    app.steps["consumer"].add(Heartbeat)


def _give_back_when_child_dies(ledger: Ledger, stage: Stage) -> None:
    def give_back(task_id: str, exception: BaseException, args: tuple[str, ...], **_: object) -> None:
        if not isinstance(exception, WorkerLostError | TimeLimitExceeded):
            return
        ref = JobRef.parse(args[0])
        with telemetry.about(job=ref, stage=stage):
            log.error("a child died or hung on a job")
            try:
                ledger.release_lost(ref, stage, task_id)
            except LedgerUnavailableError:
                log.warning("the lease must run out: the ledger is away")

    task_failure.connect(give_back, weak=False)


def _public(error: Exception) -> str:
    if isinstance(error, MediScanError):
        return error.detail
    return f"An unexpected error of our own ({type(error).__name__}) each time this was tried."
