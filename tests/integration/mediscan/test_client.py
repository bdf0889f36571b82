"""Both clients against the real cluster."""

import io
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

import mediscan
from mediscan import contracts
from shared.dicom_results import DicomResult, instance_uid
from tests.support.cluster import Cluster
from tests.support.dicom_study import study
from tests.support.images import broken_inside, scan


@pytest.fixture
def client(cluster: Cluster, connect: Callable[..., Any]) -> Any:
    return connect(cluster.url)


@contextmanager
def workers_asleep(cluster: Cluster) -> Iterator[None]:
    """The ML worker and its children take no work up."""
    cluster.signal("ml_worker", signal.SIGSTOP)
    try:
        yield
    finally:
        cluster.signal("ml_worker", signal.SIGCONT)


def test_an_image_is_analyzed(client: Any, cluster: Cluster, tmp_path: Path) -> None:
    image = tmp_path / "patient-name.png"
    image.write_bytes(scan())
    job = client.analyze(image, metadata={"study": "A-17"}, priority="stat")
    assert (job.state, job.priority, job.metadata) == ("completed", "stat", {"study": "A-17"})
    assert isinstance(job.result, contracts.FusedResult)
    # Not a copy of the server's classes: those.
    assert type(job) is contracts.JobView
    assert job == contracts.JobView.model_validate(cluster.job(job.id))
    assert "patient-name" not in cluster.logs()


def test_a_handle_follows_its_job(client: Any) -> None:
    job = client.submit(scan())
    assert job.view.state in {"queued", "running"}
    result = job.result(timeout=30)
    assert job.view.result == result
    assert job.refresh().state == "completed"
    assert job.heatmap().startswith(b"\x89PNG")
    assert json.loads(job.fhir())["resourceType"] == "Bundle"
    assert client.job(job.id).view == job.view
    with pytest.raises(mediscan.ConflictError) as caught:
        job.cancel()
    assert caught.value.code == "already_over"


def test_a_dicom_image_s_results_come_as_files(client: Any) -> None:
    job = client.submit(study()[1].file)
    job.result(timeout=30)
    # While they are being made the server says "not now", and the client comes again.
    for which in ("sr", "overlay", "map"):
        found = dcmread(io.BytesIO(job.dicom(which)))
        assert found.SOPInstanceUID == instance_uid(job.id, DicomResult(which))


def test_changes_end_with_the_end(client: Any) -> None:
    seen = list(client.submit(scan()).changes(timeout=30))
    assert seen[-1].state == "completed"
    assert [job.version for job in seen] == sorted({job.version for job in seen})


def test_a_cancelled_job_has_no_result(client: Any, cluster: Cluster) -> None:
    with workers_asleep(cluster):
        job = client.submit(scan())
        with pytest.raises(mediscan.WaitTimeoutError) as late:
            job.wait(timeout=0.5)
        assert late.value.last_seen.id == job.id
        assert job.cancel().state == "cancelled"
    with pytest.raises(mediscan.NoResultError) as none:
        job.result()
    assert none.value.code == "cancelled"


def test_an_unreadable_image_fails_with_its_code(client: Any) -> None:
    with pytest.raises(mediscan.NoResultError) as caught:
        client.submit(broken_inside()).result(timeout=30)
    assert caught.value.code == "image_unreadable"
    assert caught.value.job.state == "failed"


def test_what_is_no_image_is_refused_with_its_code(client: Any) -> None:
    with pytest.raises(mediscan.InvalidRequestError) as caught:
        client.submit(b"this is not a picture")
    assert caught.value.status in {400, 415, 422}
    assert caught.value.code not in {"", "error"}


def test_a_file_that_is_not_there_is_an_os_error(client: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.submit(tmp_path / "nothing.png")


def test_an_unknown_job_is_not_found(client: Any) -> None:
    for ask in (client.get, client.wait, client.cancel, client.heatmap):
        with pytest.raises(mediscan.NotFoundError):
            ask("job_019a0000000000112233445566778899")


def test_models_and_readiness(client: Any) -> None:
    assert [model.is_default for model in client.models()] == [True]
    ready = client.readiness()
    assert ready.missing == ()
    assert ready.workers["ml"] == 1


def test_nobody_there(connect: Callable[..., Any]) -> None:
    with pytest.raises(mediscan.UnreachableError, match=r"127\.0\.0\.1:9: connection refused"):
        connect("http://127.0.0.1:9", retry_for=0.5).models()


def test_somebody_else_there(cluster: Cluster, connect: Callable[..., Any]) -> None:
    with pytest.raises(mediscan.NotFoundError):
        connect(f"{cluster.url}/not/here").models()
