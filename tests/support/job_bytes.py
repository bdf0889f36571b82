"""Measures the ledger's memory by job, to size its limits by: `python -m tests.support.job_bytes`.

Against a Valkey of its own: memory in use before and after a thousand jobs at each point of their way, with
4 KiB of metadata (the most there may be by default) and without.
"""

import sys
from collections.abc import Callable

from shared.ledger import Ledger
from shared.names import JobRef, Stage
from shared.settings import Settings
from tests.support.jobs import Jobs
from tests.support.samples import image_facts
from tests.support.valkey import Server

_JOBS = 1000
_METADATA = {"": {}, "with 4 KiB of metadata": {f"field-{number:02}": "x" * 112 for number in range(32)}}


def main() -> None:
    """Print bytes a job."""
    server = Server()
    server.start()
    try:
        for said, metadata in _METADATA.items():
            for point, bring in _POINTS.items():
                sys.stdout.write(f"{_bytes_a_job(server, bring, metadata):7,.0f} bytes {point} {said}\n")
    finally:
        server.remove()


def _bytes_a_job(server: Server, bring: Callable[[Jobs, JobRef], object], metadata: dict[str, str]) -> float:
    server.reset()
    with server.client() as client:
        jobs = Jobs(Ledger.open(Settings(redis_url=server.url), patience_s=1), client)
        bring(jobs, jobs.create(metadata=metadata))  # scripts, connections and the shared keys are there now
        before = int(client.info("memory")["used_memory"])
        for number in range(_JOBS):
            bring(jobs, jobs.create(metadata=metadata, image=image_facts(sha256=f"{number:064x}")))
        used = int(client.info("memory")["used_memory"]) - before
        jobs.ledger.close()
    return used / _JOBS


def _read(jobs: Jobs, ref: JobRef) -> None:
    jobs.settle(ref, Stage.ML)
    jobs.settle(ref, Stage.GEMINI)


def _completed(jobs: Jobs, ref: JobRef) -> None:
    _read(jobs, ref)
    jobs.complete(ref)


_POINTS: dict[str, Callable[[Jobs, JobRef], object]] = {
    "queued": lambda _jobs, _ref: None,
    "with both readings": _read,
    "completed": _completed,
}


if __name__ == "__main__":
    main()
