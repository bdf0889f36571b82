"""Both readings as rows of the report: what each reader said, or why it said nothing."""

from collections.abc import Iterator

from services.gateway.report.text import plain, safe
from shared.contracts import AbstainReason, GeminiReading, JobView, MlReading, UnavailableReading

Row = tuple[str, str]

#: More findings or metrics than this are not printed one by one.
_MOST_ITEMS = 20
_MOST_LETTERS = 400

_WHY = {
    AbstainReason.OUT_OF_DISTRIBUTION: "this is not the kind of image it was trained on",
    AbstainReason.INCONCLUSIVE: "the evidence does not separate the two labels",
}


def ml_rows(ml: MlReading, weight: float | None) -> Iterator[Row]:
    """The model's reading."""
    if ml.abstain_reason:
        yield "Says", f"<b>Declined to decide</b>: {_WHY[ml.abstain_reason]}"
    else:
        yield "Says", f"<b>{ml.label}</b>"
    doubt = ", not to be relied on" if ml.abstain_reason is AbstainReason.OUT_OF_DISTRIBUTION else ""
    yield "P(positive)", f"{ml.p_positive:.2f}{doubt}"
    yield "Threshold", f"{ml.threshold:.2f}"
    yield "Cannot rule out", " or ".join(ml.conformal_set) or "neither label fits"
    yield "Unfamiliarity", f"{ml.ood_score:.2f} (it abstains above 1)"
    if weight is not None:
        yield "Weight", f"{weight:.0%}"
    if ml.image_notes:
        yield "Pixels", safe("; ".join(ml.image_notes))


def gemini_rows(job: JobView, weight: float | None) -> Iterator[Row]:
    """Gemini's reading; every word of it is another's."""
    gemini = job.readings.gemini
    if not isinstance(gemini, GeminiReading):
        yield "Says", "<b>No reading</b>"
        yield "Why", safe(plain(str(getattr(gemini, "reason", gemini.state))))
        if isinstance(gemini, UnavailableReading) and gemini.detail:
            yield "", safe(gemini.detail)
        return
    yield "Says", f"<b>{gemini.label or 'Declined to decide'}</b>"
    yield "P(positive)", f"{gemini.p_positive:.2f}"
    if weight is not None:
        yield "Weight", f"{weight:.0%}"
    for finding in gemini.findings[:_MOST_ITEMS]:
        yield "Finding", safe(finding, _MOST_LETTERS)
    for name, value in list(gemini.key_metrics.items())[:_MOST_ITEMS]:
        yield safe(name, 60), safe(value, _MOST_LETTERS)
    yield "In its words", safe(gemini.explanation)
