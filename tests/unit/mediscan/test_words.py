"""What a person is shown of a job, and of an error."""

from dataclasses import replace

import pytest

import mediscan
from mediscan.cli import exits, words
from mediscan.cli.exits import Exit
from mediscan.cli.jobs import submission
from shared.contracts import (
    AbstainReason,
    Change,
    ChangeRefused,
    Direction,
    Fallback,
    IncomparableReason,
    JobView,
    Label,
    ReviewReason,
    Risk,
    RiskBand,
    UnavailableReason,
)
from shared.errors import SetupError
from shared.job_state import JobState
from shared.job_view import view
from tests.support.samples import PROBLEM, RATE_LIMITED, fused_result, gemini_reading, ml_reading
from tests.unit.shared.test_job_view import COMPLETED, QUEUED, READING

FAILED = replace(COMPLETED, state=JobState.FAILED, result=None, error=PROBLEM, ml=RATE_LIMITED)


def report(job: JobView, width: int = 100) -> str:
    lines = words.report(job, width)
    assert all(len(line) <= max(width, 90) for line in lines)
    return "\n".join(lines)


def test_a_finished_job_with_both_readers() -> None:
    said = report(view(replace(COMPLETED, gemini=gemini_reading())))
    for part in (
        "Positive, P(positive) 0.65",
        "65/100 moderate",
        "Needs review    no",
        "brain-mri-mobilenetv2 0.1.0",
        "a bright ring in the left temporal lobe",
        "ward: 7",
        "not ruled out: Positive",
        "strangeness 0.50",
        "Not a diagnosis",
    ):
        assert part in said


def test_doubt_is_said() -> None:
    ml = ml_reading(abstain_reason=AbstainReason.OUT_OF_DISTRIBUTION, conformal_set=(), peak_box=None)
    result = fused_result(
        label=None,
        needs_review=True,
        review_reasons=(ReviewReason.ML_ABSTAINED, ReviewReason.NEAR_THRESHOLD),
        fallback=Fallback(reason=UnavailableReason.RATE_LIMITED, detail="Gemini is rate limited."),
    )
    said = report(view(replace(COMPLETED, ml=ml, gemini=RATE_LIMITED, result=result)))
    for part in (
        "no decision",
        "yes: ml abstained, near threshold",
        "abstains: out of distribution",
        "neither label fits",
        "ML only, rate limited. Gemini is rate limited.",
        "unavailable: rate limited",
    ):
        assert part in said


def test_the_change_since_a_prior_is_said() -> None:
    change = Change(
        prior_job_id="job_0",
        prior_read_at=view(QUEUED).created_at,
        prior_label=Label.NEGATIVE,
        prior_p_positive=0.2,
        delta_p_positive=0.45,
        direction=Direction.RISE,
    )
    assert "rise, +0.45 since job_0" in report(view(replace(COMPLETED, result=fused_result(change=change))))
    refused = ChangeRefused(prior_job_id="job_0", reason=IncomparableReason.DIFFERENT_MODEL)
    assert "different model" in report(view(replace(COMPLETED, result=fused_result(change=refused))))


def test_a_failed_job_and_one_under_way() -> None:
    assert "(image_unreadable)" in report(view(FAILED))
    assert "still to come" in report(view(READING))
    assert words.line(view(QUEUED)).endswith("waiting for a reader")
    assert "Positive, P(positive) 0.65, risk 65/100 moderate" in words.line(view(COMPLETED))


def test_no_text_from_elsewhere_reaches_the_terminal_as_a_command() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202egood\r\nJob  forged"
    result = fused_result(explanation=evil, fallback=Fallback(reason=UnavailableReason.TIMEOUT, detail=evil))
    gemini = gemini_reading(findings=(evil,), explanation=evil, model=evil)
    job = replace(COMPLETED, result=result, gemini=gemini, metadata={evil: evil})
    lines = words.report(view(job), 100)
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("Job  forged") for line in lines)
    failed = replace(FAILED, error=PROBLEM.model_copy(update={"detail": evil}))
    assert words.line(view(failed)).isprintable()


@pytest.mark.parametrize(("score", "filled"), [(0, 0), (50, 20), (100, 40)])
def test_the_gauge(score: int, filled: int) -> None:
    gauge = words.gauge(Risk(score=score, band=RiskBand.LOW))
    assert (gauge.count("#"), len(gauge)) == (filled, 42)


def test_metadata_is_typed_as_it_looks() -> None:
    read = submission(None, ["a=7", "b=x=y", "c=true", "d=", "e=[1]", "f=null"], None, deduplicate=False)
    assert read == {"metadata": {"a": 7, "b": "x=y", "c": True, "d": "", "e": "[1]", "f": None}}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (mediscan.ConfigurationError("x"), Exit.USAGE),
        (mediscan.UnreachableError("x"), Exit.UNREACHABLE),
        (mediscan.UnavailableError("x"), Exit.UNREACHABLE),
        (mediscan.ServerError("x"), Exit.UNREACHABLE),
        (mediscan.AuthenticationError("x"), Exit.REFUSED),
        (mediscan.PermissionDeniedError("x"), Exit.REFUSED),
        (mediscan.NotFoundError("x"), Exit.REFUSED),
        (mediscan.InvalidRequestError("x"), Exit.REFUSED),
        (mediscan.WaitTimeoutError("x", last_seen=None), Exit.TIMEOUT),
        (mediscan.NoResultError("x", code="c", job=None), Exit.FAILED),
        (FileNotFoundError(2, "No such file", "scan.png"), Exit.USAGE),
        (ModuleNotFoundError("x", name="services.gateway"), Exit.USAGE),
        (ModuleNotFoundError("x", name="httpx"), Exit.USAGE),
        (SetupError("x"), Exit.FAILED),
    ],
)
def test_every_error_has_one_line_and_a_status(error: Exception, status: Exit) -> None:
    explained = exits.explain(error)
    assert explained is not None
    assert explained[1] is status
    assert "\n" not in explained[0]


def test_a_fault_of_ours_is_not_explained_away() -> None:
    assert exits.explain(KeyError("x")) is None
    assert exits.explain(ModuleNotFoundError("x", name="numpy")) is None


@pytest.mark.parametrize(
    ("job", "status"),
    [(COMPLETED, Exit.OK), (FAILED, Exit.FAILED), (QUEUED, Exit.TIMEOUT), (READING, Exit.TIMEOUT)],
)
def test_the_end_of_a_job_as_a_status(job: object, status: Exit) -> None:
    assert exits.of_job(view(job)) is status  # type: ignore[arg-type]
