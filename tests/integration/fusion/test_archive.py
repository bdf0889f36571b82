"""The reaper writes finished jobs down many at a time."""

from pathlib import Path

import pytest

from services.fusion.reaper import Reaper
from services.fusion.settings import FusionSettings
from shared.blob_store import BlobStore
from shared.job_state import JobState
from shared.names import Blob, JobRef, blob_path
from shared.queue import make_celery
from tests.support.jobs import Jobs
from tests.support.valkey import Server


@pytest.fixture
def reaper(valkey: Server, jobs: Jobs, tmp_path: Path) -> Reaper:
    settings = FusionSettings(
        redis_url=valkey.url, broker_url=valkey.broker_url, blob_url=f"file://{tmp_path}"
    )
    return Reaper(make_celery(settings), settings, jobs.ledger, BlobStore.open(settings.blob_url))


@pytest.fixture
def finished(jobs: Jobs) -> list[JobRef]:
    refs = [jobs.ended(JobState.COMPLETED) for _ in range(3)]
    for ref in refs:
        jobs.long_ago(ref)
    return refs


def test_all_that_are_due_are_written(
    jobs: Jobs, reaper: Reaper, finished: list[JobRef], tmp_path: Path
) -> None:
    reaper.look()

    assert [jobs.due_at(ref) for ref in finished] == [None] * 3
    assert all((tmp_path / blob_path(ref, Blob.RECORD)).is_file() for ref in finished)


def test_one_that_cannot_be_written_holds_up_no_other(
    jobs: Jobs, reaper: Reaper, finished: list[JobRef], tmp_path: Path
) -> None:
    (tmp_path / blob_path(finished[1], Blob.RECORD) / "in the way").mkdir(parents=True)

    reaper.look()

    assert [jobs.due_at(ref) is None for ref in finished] == [True, False, True]
