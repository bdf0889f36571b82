"""Several models side by side: listed, chosen by a job, switched without losing one; and a reading against a prior."""

from collections.abc import Iterator

import pytest

from tests.support.bundles import NAME, SHIPPED, copy_bundle, copy_committed
from tests.support.cluster import Cluster
from tests.support.images import scan

_DEFAULT = f"{NAME}/{SHIPPED}"
_OTHER = f"{NAME}/9.9.9"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    models = tmp_path_factory.mktemp("models")
    copy_committed(models)
    copy_bundle(models, "9.9.9")
    for file in copy_bundle(models, "0.0.0-broken").glob("*.tflite"):
        file.write_bytes(b"not a model")
    with Cluster(MODELS_DIR=str(models)) as running:
        yield running


def test_models_are_listed_with_their_cards_and_a_broken_one_is_not(cluster: Cluster) -> None:
    listed = {model["id"]: model for model in cluster.http.get("/v1/models").json()["models"]}
    assert set(listed) == {_DEFAULT, _OTHER}
    assert [name for name, model in listed.items() if model["is_default"]] == [_DEFAULT]
    assert listed[_OTHER]["card"]["positive_means"]
    assert "a model is left out" in cluster.log("ml_worker").read_text()


def test_a_job_is_read_by_the_model_it_names(cluster: Cluster) -> None:
    assert cluster.run(scan())["readings"]["ml"]["model"]["version"] == SHIPPED
    named = cluster.run(scan(), model=_OTHER)
    assert named["model"] == _OTHER
    assert named["readings"]["ml"]["model"]["version"] == "9.9.9"


@pytest.mark.parametrize("name", ["nobody/1", "../../etc", "x" * 100])
def test_a_model_nobody_offers_is_refused_and_leaves_nothing(cluster: Cluster, name: str) -> None:
    before = len(cluster.blob_files())
    answer = cluster.http.post("/v1/jobs", files={"image": ("s", scan())}, data={"model": name})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_model")
    assert len(cluster.blob_files()) == before


def test_the_result_carries_the_change_since_a_prior_job(cluster: Cluster) -> None:
    before = cluster.run(scan(shade=90))
    after = cluster.run(scan(shade=250), prior_job_id=before["id"])
    change = after["result"]["change"]
    assert after["prior_job_id"] == change["prior_job_id"] == before["id"]
    delta = after["readings"]["ml"]["p_positive"] - before["readings"]["ml"]["p_positive"]
    assert change["state"] == "compared"
    assert change["delta_p_positive"] == pytest.approx(delta)


def test_a_reading_of_a_model_that_abstained_is_not_compared(cluster: Cluster) -> None:
    before = cluster.run(scan(), model=_OTHER)
    assert before["readings"]["ml"]["abstain_reason"] == "out_of_distribution"
    after = cluster.run(scan(), model=_OTHER, prior_job_id=before["id"])
    assert after["result"]["change"]["reason"] == "abstained"


@pytest.mark.parametrize("prior", ["job_" + "0" * 32, "nonsense"])
def test_a_prior_that_is_not_there_is_refused(cluster: Cluster, prior: str) -> None:
    answer = cluster.http.post("/v1/jobs", files={"image": ("s", scan())}, data={"prior_job_id": prior})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_prior")


def test_a_prior_read_by_another_model_is_refused(cluster: Cluster) -> None:
    before = cluster.run(scan())
    answer = cluster.http.post(
        "/v1/jobs",
        files={"image": ("s", scan())},
        data={"prior_job_id": before["id"], "model": _OTHER},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "prior_model_differs")


def test_switching_the_default_loses_no_job(cluster: Cluster) -> None:
    jobs = [cluster.submit(scan()) for _ in range(30)]
    cluster.stop("ml_worker")
    cluster.set("MODEL_VERSION", "9.9.9")
    cluster.start("ml_worker")
    versions = [cluster.finished(job["id"])["readings"]["ml"]["model"]["version"] for job in jobs]
    assert set(versions) <= {SHIPPED, "9.9.9"}
    assert cluster.run(scan())["readings"]["ml"]["model"]["version"] == "9.9.9"


def test_test_time_views_are_averaged(cluster: Cluster) -> None:
    plain = cluster.run(scan())
    cluster.stop("ml_worker")
    cluster.set("ML_TTA", "true")
    cluster.start("ml_worker")
    averaged = cluster.run(scan())
    assert (plain["readings"]["ml"]["views"], averaged["readings"]["ml"]["views"]) == (1, 4)
    assert averaged["readings"]["ml"]["cam"] == plain["readings"]["ml"]["cam"]
