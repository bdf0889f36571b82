"""What is swept, and what is not."""

from pathlib import Path

import pytest

from services.fusion.retention import sweep
from shared.blob_store import BlobStore
from shared.ledger import Ledger
from shared.names import KEYS_FOLDER, Blob, JobRef, blob_path
from shared.settings import Settings
from tests.integration.conftest import MakeLedger
from tests.support.samples import new_job

_NOW = 1_800_000_000.0
_HOUR = 3600.0
_SETTINGS = Settings(retention_s=48 * _HOUR)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore.open(f"file://{tmp_path}")


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> Ledger:
    return make_ledger()


def job_from(seconds_ago: float) -> JobRef:
    """A reference whose id was made that long before `_NOW`."""
    millis = int((_NOW - seconds_ago) * 1000)
    return JobRef("default", f"job_{millis:012x}{'0' * 20}")


def test_everything_of_an_expired_job_goes(ledger: Ledger, blobs: BlobStore) -> None:
    ref = job_from(50 * _HOUR)
    for blob in Blob:
        blobs.put(blob_path(ref, blob), b"x")
    assert sweep(ledger, blobs, _SETTINGS, now=_NOW) == len(Blob)
    assert blobs.paths("default") == []


def test_a_finished_job_within_the_retention_stays(ledger: Ledger, blobs: BlobStore) -> None:
    for hours in (0, 2, 3, 47):
        for blob in Blob:
            blobs.put(blob_path(job_from(hours * _HOUR), blob), b"x")
    assert sweep(ledger, blobs, _SETTINGS, now=_NOW) == 0


def test_what_is_the_houses_own_stays(ledger: Ledger, blobs: BlobStore) -> None:
    own = [f"{KEYS_FOLDER}/0123456789ab.json", f"{KEYS_FOLDER}/2020010100/0123456789ab.json"]
    for path in own:
        blobs.put(path, b"x")
    assert sweep(ledger, blobs, _SETTINGS, now=_NOW) == 0
    assert blobs.paths(KEYS_FOLDER) == own


def test_an_image_without_a_job_is_an_orphan(ledger: Ledger, blobs: BlobStore) -> None:
    blobs.put(blob_path(job_from(2 * _HOUR), Blob.IMAGE), b"x")
    assert sweep(ledger, blobs, _SETTINGS, now=_NOW) == 1
    assert blobs.paths("default") == []


def test_an_image_of_a_live_job_is_none(ledger: Ledger, blobs: BlobStore) -> None:
    ref = job_from(2 * _HOUR)
    ledger.create(ref, new_job())
    blobs.put(blob_path(ref, Blob.IMAGE), b"x")
    assert sweep(ledger, blobs, _SETTINGS, now=_NOW) == 0


def test_a_fresh_upload_is_not_yet_an_orphan(ledger: Ledger, blobs: BlobStore) -> None:
    blobs.put(blob_path(job_from(60), Blob.IMAGE), b"x")
    assert sweep(ledger, blobs, _SETTINGS, now=_NOW) == 0


@pytest.mark.parametrize("hours", [2, 50])
def test_what_a_dying_gateway_left_half_written_goes(
    ledger: Ledger, blobs: BlobStore, tmp_path: Path, hours: int
) -> None:
    path = blob_path(job_from(hours * _HOUR), Blob.IMAGE)
    blobs.put(path, b"x")
    blobs.delete(path)
    half_written = tmp_path / f"{path}#1"  # as obstore names a file until it is whole
    half_written.write_bytes(b"half")
    assert sweep(ledger, blobs, _SETTINGS, now=_NOW) == 1
    assert not half_written.exists()


def test_what_is_being_written_now_is_left_alone(ledger: Ledger, blobs: BlobStore, tmp_path: Path) -> None:
    path = blob_path(job_from(60), Blob.IMAGE)
    blobs.put(path, b"x")
    half_written = tmp_path / f"{path}#1"
    half_written.write_bytes(b"half")
    assert sweep(ledger, blobs, _SETTINGS, now=_NOW) == 0
    assert half_written.exists()


def test_the_folder_of_an_expired_hour_goes_too(ledger: Ledger, blobs: BlobStore) -> None:
    blobs.put(blob_path(job_from(50 * _HOUR), Blob.IMAGE), b"x")
    sweep(ledger, blobs, _SETTINGS, now=_NOW)
    assert blobs.folders("default") == []
