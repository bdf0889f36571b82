"""The last readings are kept in the step that archives a job, and compared by the reaper."""

import json
import logging

import pytest

from services.fusion.archive import archive
from services.fusion.drift import DriftWatch
from shared.blob_store import BlobStore
from shared.contracts import DriftLevel, FusedResult
from shared.ledger import LastReading
from shared.ledger.last_readings import KEPT
from shared.names import Key
from tests.support.jobs import Jobs
from tests.support.samples import fused_result, ml_reading
from tests.unit.shared.observe.test_drift import CARD

MODEL = LastReading.of(ml_reading()).model


def archived(jobs: Jobs, blobs: BlobStore, result: FusedResult | None = None) -> None:
    ref = jobs.fusable()
    jobs.complete(ref, result or fused_result())
    for _ in range(2):  # fusion, and a reaper that thought it dead
        archive(jobs.record(ref), jobs.ledger, blobs)


@pytest.fixture
def blobs(tmp_path_factory: pytest.TempPathFactory) -> BlobStore:
    return BlobStore.open(f"file://{tmp_path_factory.mktemp('blobs')}")


def test_each_reading_is_kept_once(jobs: Jobs, blobs: BlobStore) -> None:
    for _ in range(3):
        archived(jobs, blobs)
    assert jobs.ledger.last_readings.of(MODEL) == [LastReading.of(ml_reading())] * 3
    jobs.ledger.cancel(ref := jobs.create())
    archive(jobs.record(ref), jobs.ledger, blobs)  # nobody read it
    assert len(jobs.ledger.last_readings.of(MODEL)) == 3
    assert jobs.redis.ttl(Key.readings(MODEL)) > 86_400


def test_no_more_are_kept_than_a_bound(jobs: Jobs, blobs: BlobStore) -> None:
    jobs.redis.rpush(Key.readings(MODEL), *["N - 0.5000 0.5000"] * (KEPT + KEPT // 10))
    archived(jobs, blobs)
    assert jobs.redis.llen(Key.readings(MODEL)) == KEPT
    assert jobs.ledger.last_readings.of(MODEL)[0].is_positive


def test_the_reaper_compares_and_says_what_changed(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    watch = DriftWatch(jobs.ledger)
    jobs.ledger.offer_models({MODEL: json.dumps(CARD)}, default=MODEL)
    jobs.redis.rpush(
        Key.readings(MODEL),
        *[*["P o 0.9 1.5"] * 5, *["N i 0.4 0.5"] * 15, *["P - 0.9 0.5"] * 45, *["N - 0.1 0.5"] * 35] * 5,
    )
    with caplog.at_level(logging.INFO):
        watch.look()
        quiet = len(caplog.records)
        jobs.redis.lpush(Key.readings(MODEL), *["P o 0.9 3.0"] * KEPT)
        watch.look()
        watch.look()
    assert quiet == 0, caplog.text
    assert "drift: positive rate is 1.0, its card says 0.5: strong" in caplog.text
    assert caplog.text.count("positive rate") == 1
    stored = json.loads(jobs.ledger.house().drift[MODEL])
    assert {measure["name"]: measure["level"] for measure in stored["measures"]} == {
        "positive_rate": DriftLevel.STRONG,
        "ood_rate": DriftLevel.STRONG,
        "abstention_rate": DriftLevel.STRONG,
    }


def test_of_a_model_that_nobody_offers_nothing_is_told_any_more(jobs: Jobs) -> None:
    jobs.ledger.offer_models({MODEL: json.dumps(CARD)}, default=MODEL)
    DriftWatch(jobs.ledger).look()
    assert set(jobs.ledger.house().drift) == {MODEL}
    jobs.redis.zadd(Key.MODELS_SEEN, {MODEL: 1})
    DriftWatch(jobs.ledger).look()
    assert jobs.ledger.house().drift == {}
