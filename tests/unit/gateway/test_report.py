"""The report says what the job says, whatever others wrote into it."""

import base64
import re
import zlib
from datetime import UTC, datetime
from typing import Any

from services.gateway import report
from shared import heatmap
from shared.contracts import (
    DISCLAIMER,
    AbstainReason,
    Agreement,
    Fallback,
    FusedResult,
    JobView,
    Links,
    MlReading,
    Progress,
    Readings,
    ReviewReason,
    SkippedReason,
    Timings,
)
from shared.job_state import JobState
from shared.names import Priority, new_job_id
from tests.support.samples import SKIPPED, fused_result, gemini_reading, image_facts, ml_reading
from tests.unit.gateway import images

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def finished(ml: MlReading, result: FusedResult, **changed: Any) -> JobView:
    job_id = new_job_id()
    usual: dict[str, Any] = {
        "id": job_id,
        "version": 5,
        "state": JobState.COMPLETED,
        "priority": Priority.ROUTINE,
        "created_at": NOW,
        "deadline_at": NOW,
        "ended_at": NOW,
        "image": image_facts(),
        "metadata": {},
        "progress": Progress(fraction=1, step="completed"),
        "readings": Readings(ml=ml, gemini=gemini_reading()),
        "result": result,
        "error": None,
        "timings": Timings(),
        "links": Links(self=f"/v1/jobs/{job_id}", heatmap="/", cancel="/"),
    }
    return JobView(**{**usual, **changed})


def words(pdf: bytes) -> str:
    """Everything that is written on the pages, strings one after the other."""
    streams = re.findall(rb"stream\r?\n(.*?)~>endstream", pdf, re.DOTALL)
    contents = [zlib.decompress(raw) for raw in map(_decoded, streams) if not raw.startswith(_JPEG)]
    pages = b"".join(content for content in contents if content.startswith(_PAGE))
    found = re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", pages, re.DOTALL)
    return " ".join(map(_unescaped, found))


_JPEG = b"\xff\xd8"
#: How ReportLab begins a page; an image's stream is its pixels.
_PAGE = b"1 0 0 1 0 0 cm"


def _decoded(stream: bytes) -> bytes:
    return base64.a85decode(stream.strip())


def _unescaped(part: bytes) -> str:
    plain = re.sub(rb"\\([()\\])", rb"\1", part)
    return re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), plain).decode("cp1252")


def made(job: JobView, **given: Any) -> bytes:
    assert isinstance(job.readings.ml, MlReading)
    assert job.result
    return report.render(job, job.readings.ml, job.result, given.get("pictures"), given.get("card"))


def test_it_holds_what_was_given_both_readings_and_the_disclaimer() -> None:
    preview = images.encode(images.picture(), "JPEG")
    ml = ml_reading()
    pictures = report.Pictures(preview, heatmap.draw(preview, ml.cam))
    card = {"positive_means": "any tumour", "limits": ["one slice at a time"]}
    pdf = made(finished(ml, fused_result(), metadata={"reference": "A-17"}), pictures=pictures, card=card)
    text = words(pdf)
    assert pdf.startswith(b"%PDF-")
    assert pdf.count(b"/Subtype /Image") == 2
    for said in ("A-17", "Positive", "Model", "Gemini", "any tumour", "one slice at a time", DISCLAIMER):
        assert said in text, said


def test_an_abstention_is_no_negative() -> None:
    ml = ml_reading(abstain_reason=AbstainReason.OUT_OF_DISTRIBUTION, ood_score=1.7)
    result = fused_result(
        label=None,
        agreement=Agreement.SINGLE_READER,
        needs_review=True,
        review_reasons=(ReviewReason.ML_ABSTAINED,),
        fallback=Fallback(reason=SkippedReason.NOT_CONFIGURED, detail="No second reader is configured."),
    )
    text = words(made(finished(ml, result, readings=Readings(ml=ml, gemini=SKIPPED))))
    assert "No decision" in text
    assert "This is not a negative result." in text
    assert "no risk is stated" in text
    assert "of 100" not in text
    assert "Negative" not in text
    assert "not configured" in text


def test_markup_of_others_is_text() -> None:
    evil = '<img src="file:///etc/passwd"/><para>&amp; </b> <font size="99">'
    gemini = gemini_reading(explanation=evil, findings=(evil,), key_metrics={evil[:50]: evil})
    ml = ml_reading()
    job = finished(ml, fused_result(), readings=Readings(ml=ml, gemini=gemini), metadata={"<b>": evil})
    pdf = made(job)
    text = words(pdf)
    assert "".join(text.split()).count("".join(evil.split())) == 4
    assert b"/Subtype /Image" not in pdf


def test_letters_that_are_not_there_and_what_is_too_long_do_no_harm() -> None:
    gemini = gemini_reading(explanation="Ω" * 100_000, findings=("x" * 100_000,) * 200)
    ml = ml_reading()
    pdf = made(
        finished(ml, fused_result(), readings=Readings(ml=ml, gemini=gemini), metadata={"name": "Ünal\x00\n"})
    )
    assert "Ünal" in words(pdf)
    assert pdf.count(b"/Type /Page\n") <= 6


def test_the_same_job_is_the_same_document() -> None:
    job = finished(ml_reading(), fused_result())
    assert made(job) == made(job)
