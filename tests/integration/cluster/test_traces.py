"""A job's trace over all processes it comes by, as a collector gets it; and none of it without the setting."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.fake_gemini import Behaviour, FakeGemini, Kind
from tests.support.cluster import Cluster
from tests.support.collector import Collector, Seen, collecting
from tests.support.launch import ROOT
from tests.support.marked import NAME, gives_away, marked_png
from tests.support.waiting import wait_until

SUBMISSION = "POST /v1/jobs"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as fake:
        yield fake


@pytest.fixture(scope="module")
def cluster(collector: Collector, gemini: FakeGemini) -> Iterator[Cluster]:
    settings = {
        "GEMINI_ENABLED": "true",
        "GEMINI_API_KEY": "test-key",
        "GEMINI_BASE_URL": gemini.base_url,
        "GEMINI_GRACE_S": "10",
        "GEMINI_TIMEOUT_S": "8",
        "OTLP_ENDPOINT": collector.url,
    }
    with Cluster(**settings) as running:
        wait_until(lambda: running.http.get("/readyz").json()["workers"]["gemini"], timeout_s=60)
        yield running


def trace_of(collector: Collector, job_id: str, *, until: str) -> dict[str, Seen]:
    """The spans of a job's trace, once the one named has come in."""

    def found() -> dict[str, Seen] | None:
        traces = {span.trace for span in collector.spans if span.attributes.get("mediscan.job") == job_id}
        spans = collector.of(traces.pop()) if len(traces) == 1 else {}
        return spans if until in spans and SUBMISSION in spans else None

    spans = wait_until(found, timeout_s=60, what=f"the span {until} has come in")
    assert spans is not None
    return spans


def test_one_trace_leads_from_the_request_to_the_stored_result(
    cluster: Cluster, collector: Collector
) -> None:
    job = cluster.run(marked_png(), metadata=f'{{"patient": "{NAME}"}}')
    spans = trace_of(collector, job["id"], until="fusion")
    wait_until(lambda: "gemini" in collector.of(spans["fusion"].trace), timeout_s=60)
    wait_until(lambda: "ml" in collector.of(spans["fusion"].trace), timeout_s=60)
    spans = collector.of(spans["fusion"].trace)
    services = {name: span.service.removeprefix("mediscan-") for name, span in spans.items()}
    assert services == {
        SUBMISSION: "gateway",
        "ml": "ml_worker",
        "decode": "ml_worker",
        "infer": "ml_worker",
        "preview": "ml_worker",
        "gemini": "gemini_worker",
        "prepare": "gemini_worker",
        "gemini call": "gemini_worker",
        "fusion": "fusion",
        "archive": "fusion",
    }
    parents = {
        name: {span.span: of for of, span in spans.items()}.get(span.parent) for name, span in spans.items()
    }
    assert [parents[stage] for stage in ("ml", "gemini", "fusion")] == [SUBMISSION] * 3
    assert (parents["infer"], parents["gemini call"], parents["archive"]) == ("ml", "gemini", "fusion")
    assert spans["ml"].attributes["mediscan.attempt"] == "1"
    assert spans["decode"].end_ns <= spans["infer"].end_ns <= spans["ml"].end_ns <= spans["fusion"].end_ns
    assert spans[SUBMISSION].attributes["mediscan.status"] == "202"


def test_a_failure_is_told_by_its_kind_and_nothing_by_name(
    cluster: Cluster, collector: Collector, gemini: FakeGemini
) -> None:
    gemini.behave(Behaviour(Kind.INTERNAL_ERROR))
    job = cluster.run(marked_png(), metadata=f'{{"patient": "{NAME}"}}')
    assert job["result"]["fallback"]["reason"] == "server_error"
    spans = trace_of(collector, job["id"], until="gemini call")
    assert spans["gemini call"].status == "ReadingFailedError"
    assert not any(gives_away(body) for body in collector.raw)


def test_without_the_setting_the_library_is_not_loaded() -> None:
    code = """
import sys
import services.fusion.tasks, services.gateway.app, services.gemini_worker.tasks
from shared.observe import tracing
from shared.settings import Settings
tracing.start(Settings(), "gateway")
with tracing.span("x"):
    tracing.passed("y", 1.0)
    assert tracing.carried() is None
# redis-py loads the library's metrics where it finds them; what takes and sends spans is loaded by nobody.
unwanted = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto", "prometheus_client")
assert not [name for name in sys.modules if name.startswith(unwanted)]
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
