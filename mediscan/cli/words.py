"""Jobs in words: pure, from a JobView to lines of text."""

import textwrap
from collections.abc import Iterator

from mediscan.cli import console
from mediscan.wire import contracts

_GAUGE = 40
_LABEL = 15
_COLOUR = {"low": "green", "moderate": "yellow", "high": "red"}


def clean(text: object) -> str:
    """One line without what a terminal would obey: texts come from models and servers, and are not trusted."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


def plain(word: str) -> str:
    """`out_of_distribution` as people write it."""
    return clean(word).replace("_", " ")


def line(job: contracts.JobView) -> str:
    """A job in one line."""
    return f"{clean(job.id)}  {job.state:<9}  {outcome(job)}"


def outcome(job: contracts.JobView) -> str:
    """What has become of it so far."""
    if job.result is not None:
        risk = job.result.risk
        review = ", needs review" if job.result.needs_review else ""
        return f"{_verdict(job.result)}, risk {risk.score}/100 {risk.band}{review}"
    if job.error is not None:
        return f"{clean(job.error.detail)} ({clean(job.error.code)})"
    return plain(job.progress.step) + (_place(job.queue) if job.queue else "")


def _place(queue: contracts.QueuePosition) -> str:
    about = f", about {queue.estimated_wait_s:.0f} s" if queue.estimated_wait_s is not None else ""
    return f", place {queue.position}{about}"


def report(job: contracts.JobView, width: int) -> list[str]:
    """Everything a person wants to know of a finished job."""
    found = [*_head(job)]
    if job.result is not None:
        found += ["", *_result(job, job.result, width)]
    found += ["", *_readings(job, width), "", *textwrap.wrap(clean(job.disclaimer), width)]
    return found


def _head(job: contracts.JobView) -> Iterator[str]:
    yield _field("Job", clean(job.id))
    took = f" in {job.timings.total_ms / 1000:.2f} s" if job.timings.total_ms is not None else ""
    yield _field("State", f"{job.state}{took}, submitted {job.created_at:%Y-%m-%d %H:%M:%S} UTC")
    kind = job.image.media_type.partition("/")[2].upper()
    yield _field(
        "Image", f"{kind}, {job.image.width} x {job.image.height} px, {job.image.size_bytes:,} bytes"
    )
    if job.metadata:
        yield _field("Metadata", ", ".join(f"{clean(k)}: {clean(v)}" for k, v in job.metadata.items()))
    if job.error is not None:
        yield _field("Error", f"{clean(job.error.detail)} ({clean(job.error.code)})")


def _result(job: contracts.JobView, result: contracts.FusedResult, width: int) -> Iterator[str]:
    yield _field("Result", console.colour(_verdict(result), "bold"))
    yield _field("Risk", f"{gauge(result.risk)} {result.risk.score}/100 {result.risk.band}")
    reasons = ", ".join(plain(reason) for reason in result.review_reasons)
    yield _field("Needs review", f"yes: {reasons}" if result.needs_review else "no")
    yield _field("Readers", plain(result.agreement))
    if result.fallback:
        yield from _paragraph(
            "Fallback", f"ML only, {plain(result.fallback.reason)}. {result.fallback.detail}", width
        )
    if result.change:
        yield _field("Change", _change(result.change))
    yield from _paragraph("Explanation", result.explanation, width)


def _verdict(result: contracts.FusedResult) -> str:
    return f"{result.label or 'no decision'}, P(positive) {result.p_positive:.2f}"


def gauge(risk: contracts.Risk) -> str:
    """0 to 100 as a bar."""
    filled = round(risk.score / 100 * _GAUGE)
    return f"[{console.colour('#' * filled, _COLOUR[risk.band])}{'.' * (_GAUGE - filled)}]"


def _change(change: contracts.Change | contracts.ChangeRefused) -> str:
    if isinstance(change, contracts.ChangeRefused):
        return f"cannot be compared with {clean(change.prior_job_id)}: {plain(change.reason)}"
    return (
        f"{change.direction}, {change.delta_p_positive:+.2f} since {clean(change.prior_job_id)} "
        f"({change.prior_label}, P(positive) {change.prior_p_positive:.2f})"
    )


def _readings(job: contracts.JobView, width: int) -> Iterator[str]:
    ml, gemini = job.readings.ml, job.readings.gemini
    if isinstance(ml, contracts.MlReading):
        yield from _ml(ml)
    else:
        yield _field("ML reading", _absent(ml))
    if isinstance(gemini, contracts.GeminiReading):
        yield from _gemini(gemini, width)
    else:
        yield _field("Gemini reading", _absent(gemini))


def _ml(reading: contracts.MlReading) -> Iterator[str]:
    said = f"{reading.label}, P(positive) {reading.p_positive:.2f}, positive from {reading.threshold:.2f}"
    yield _field("ML reading", f"{said} ({clean(reading.model.name)} {clean(reading.model.version)})")
    if reading.abstain_reason:
        yield _field("", f"abstains: {plain(reading.abstain_reason)}")
    cannot = " or ".join(reading.conformal_set) or "neither label fits"
    yield _field("  doubt", f"not ruled out: {cannot}; strangeness {reading.ood_score:.2f}, abstains above 1")
    if box := reading.peak_box:
        yield _field("  strongest at", f"{box.left}, {box.top}, {box.width} x {box.height} px")


def _gemini(reading: contracts.GeminiReading, width: int) -> Iterator[str]:
    said = f"{reading.label or 'undecided'}, P(positive) {reading.p_positive:.2f}"
    yield _field("Gemini reading", f"{said} ({clean(reading.model)})")
    for finding in reading.findings:
        yield from _paragraph("  finding", finding, width)
    yield from _paragraph("  says", reading.explanation, width)


def _absent(
    reading: contracts.UnavailableReading | contracts.SkippedReading | contracts.WaitingReading,
) -> str:
    if isinstance(reading, contracts.WaitingReading):
        return "still to come"
    detail = f". {clean(reading.detail)}" if isinstance(reading, contracts.UnavailableReading) else ""
    return f"{reading.state}: {plain(reading.reason)}{detail}"


def _field(name: str, text: str) -> str:
    return f"{name:<{_LABEL}} {text}"


def _paragraph(name: str, text: str, width: int) -> Iterator[str]:
    first, *rest = textwrap.wrap(clean(text), width - _LABEL - 1) or [""]
    yield _field(name, first)
    for more in rest:
        yield _field("", more)
