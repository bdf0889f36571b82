"""The report put together: what was asked, the answer, both readings, the model; the disclaimer on each page."""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Image, Paragraph, SimpleDocTemplate, Spacer, Table

from services.gateway.report.gauge import Gauge
from services.gateway.report.readings import Row, gemini_rows, ml_rows
from services.gateway.report.text import plain, safe
from shared.contracts import Change, ChangeRefused, FusedResult, JobView, MlReading

#: Part of the report's ETag: to be raised whenever the same job is reported differently.
REPORT_VERSION = 1

_INK, _SOFT, _LINE = HexColor(0x17212B), HexColor(0x52606D), HexColor(0xC5CDD5)
_TEXT = ParagraphStyle("text", fontName="Helvetica", fontSize=9, leading=12, textColor=_INK, splitLongWords=1)
_SMALL = ParagraphStyle("small", parent=_TEXT, fontSize=8, leading=10, textColor=_SOFT)
_TITLE = ParagraphStyle("title", parent=_TEXT, fontName="Helvetica-Bold", fontSize=16, leading=20)
_HEAD = ParagraphStyle(
    "head", parent=_TEXT, fontName="Helvetica-Bold", fontSize=11, leading=14, spaceBefore=8
)
_VERDICT = ParagraphStyle("verdict", parent=_TEXT, fontName="Helvetica-Bold", fontSize=20, leading=24)

_MARGIN = 16 * mm
_INNER = A4[0] - 2 * _MARGIN - 12  # a frame keeps 6 points on either side
_HALF = _INNER / 2
_PICTURE = 78 * mm
_MOST_METADATA = 32
_MOST_LIMITS = 6
_MISSING_LETTERS = "Letters that the typeface of this report lacks stand as ?; the job itself holds them."


@dataclass(frozen=True)
class Pictures:
    """The image as a JPEG, and the same with the heatmap as a PNG; None where it is no longer kept."""

    preview: bytes
    overlay: bytes


def render(
    job: JobView,
    ml: MlReading,
    result: FusedResult,
    pictures: Pictures | None,
    card: Mapping[str, Any] | None,
) -> bytes:
    """The report of a finished job. card: of the model that read, where the house still offers it."""
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=14 * mm,
        bottomMargin=20 * mm,
        title=f"MediScan report {job.id}",
        author="MediScan",
        invariant=1,
    )

    def footer(pen: Canvas, _document: SimpleDocTemplate) -> None:
        pen.setFont("Helvetica-Bold", 8)
        pen.setFillColor(_INK)
        pen.drawString(_MARGIN, 12 * mm, job.disclaimer)
        pen.setFont("Helvetica", 8)
        pen.setFillColor(_SOFT)
        pen.drawString(_MARGIN, 8 * mm, job.id)
        pen.drawRightString(A4[0] - _MARGIN, 8 * mm, f"page {pen.getPageNumber()}")

    document.build(list(_story(job, ml, result, pictures, card)), onFirstPage=footer, onLaterPages=footer)
    return out.getvalue()


def _story(
    job: JobView,
    ml: MlReading,
    result: FusedResult,
    pictures: Pictures | None,
    card: Mapping[str, Any] | None,
) -> Iterator[Flowable]:
    yield Paragraph("MediScan report", _TITLE)
    yield Paragraph(job.disclaimer, _SMALL)
    yield Spacer(0, 4)
    yield _facts(_asked(job))
    yield Spacer(0, 6)
    yield _beside(_answer(result, ml), [Gauge(result, ml)])
    yield from _shown(pictures)
    yield Paragraph("Both readers", _HEAD)
    weights = {voice.reader: voice.weight for voice in result.provenance}
    yield Paragraph(f"Agreement: <b>{plain(result.agreement)}</b>.", _TEXT)
    yield Spacer(0, 3)
    yield _beside(
        [
            Paragraph(f"<b>Model</b>: {safe(ml.model.name)} {safe(ml.model.version)}", _TEXT),
            _facts(ml_rows(ml, weights.get("ml")), _HALF - 8),
        ],
        [
            Paragraph(f"<b>Gemini</b>: {_gemini_name(job)}", _TEXT),
            _facts(gemini_rows(job, weights.get("gemini")), _HALF - 8),
        ],
    )
    yield Paragraph("The model", _HEAD)
    yield from _card(ml, card)
    yield Spacer(0, 4)
    yield Paragraph(_MISSING_LETTERS, _SMALL)


def _asked(job: JobView) -> Iterator[Row]:
    for name, value in list(job.metadata.items())[:_MOST_METADATA]:
        yield f"{safe(name, 60)} (as given)", safe(value, 300)
    if job.client_id:
        yield "Your id", safe(job.client_id)
    yield "Job", safe(job.id)
    yield "Submitted", f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC"
    image = job.image
    yield (
        "Image",
        f"{safe(image.media_type)}, {image.width} x {image.height} px, SHA-256 {safe(image.sha256)}",
    )


def _answer(result: FusedResult, ml: MlReading) -> list[Flowable]:
    found: list[Flowable] = [Paragraph(result.label or "No decision", _VERDICT)]
    if result.label is None:
        found.append(Paragraph("<b>This is not a negative result.</b>", _TEXT))
    else:
        found.append(
            Paragraph(f"{result.risk.band.capitalize()} risk, P(positive) {result.p_positive:.2f}", _TEXT)
        )
    if result.needs_review:
        reasons = ", ".join(plain(reason) for reason in result.review_reasons)
        found.append(Paragraph(f"<b>A person should look</b>: {reasons}.", _TEXT))
    if result.fallback:
        why = f"{plain(result.fallback.reason)}. {result.fallback.detail}"
        found.append(Paragraph(f"<b>Rests on the model alone</b>: {safe(why)}", _TEXT))
    if result.change:
        found.append(Paragraph(_change(result.change, ml), _TEXT))
    found.append(Paragraph(safe(result.explanation), _SMALL))
    return found


def _change(change: Change | ChangeRefused, ml: MlReading) -> str:
    if isinstance(change, ChangeRefused):
        return f"<b>No comparison</b> with {safe(change.prior_job_id)}: {plain(change.reason)}."
    return (
        f"<b>Change</b> against {safe(change.prior_job_id)}: {change.direction}, model's P(positive) "
        f"{change.prior_p_positive:.2f} then, {ml.p_positive:.2f} now."
    )


def _shown(pictures: Pictures | None) -> Iterator[Flowable]:
    if pictures is None:
        yield Paragraph("The image is no longer kept.", _TEXT)
        return
    yield Spacer(0, 4)
    yield _beside(
        [_picture(pictures.preview), Paragraph("The image, as a preview of at most 512 px", _SMALL)],
        [
            _picture(pictures.overlay),
            Paragraph("Where the model looked; coarse, 7 x 7 cells (Grad-CAM)", _SMALL),
        ],
    )


def _picture(encoded: bytes) -> Image:
    return Image(io.BytesIO(encoded), width=_PICTURE, height=_PICTURE, kind="proportional", hAlign="LEFT")


def _gemini_name(job: JobView) -> str:
    model = getattr(job.readings.gemini, "model", None)
    return safe(model, 80) if model else "no reading"


def _card(ml: MlReading, card: Mapping[str, Any] | None) -> Iterator[Flowable]:
    if card is None:
        yield Paragraph("The house no longer offers this model, so its card is not at hand.", _TEXT)
    yield _facts([("Weights", f"SHA-256 {safe(ml.model.sha256)}"), *_card_rows(card or {})])


def _card_rows(card: Mapping[str, Any]) -> Iterator[Row]:
    if meaning := card.get("positive_means"):
        yield "Positive means", safe(meaning, 300)
    for name, found in card.get("metrics", {}).items():
        if name.startswith("cross_validation/") and "auc" in found:
            yield safe(plain(name), 60), _figures(found)
    for limit in card.get("limits", [])[:_MOST_LIMITS]:
        yield "Limit", safe(limit, 500)


def _figures(found: Mapping[str, Any]) -> str:
    low, high = found["auc_interval"]
    return (
        f"AUC {found['auc']:.3f} ({low:.3f} to {high:.3f}), sensitivity {found['sensitivity']:.3f}, "
        f"specificity {found['specificity']:.3f}, {found['n']} images"
    )


def _facts(rows: Iterable[Row], width: float = _INNER) -> Table:
    """Names and values; the values are markup that is ours, around texts that are `safe`."""
    name_width = min(88, width / 3.2)
    cells = [[Paragraph(name, _SMALL), Paragraph(value, _TEXT)] for name, value in rows]
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 1),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
        ("LINEBELOW", (0, 0), (-1, -1), 0.25, _LINE),
    ]
    return Table(cells, colWidths=[name_width, width - name_width], style=style, hAlign="LEFT", splitInRow=1)


def _beside(left: list[Flowable], right: list[Flowable]) -> Table:
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 8),
    ]
    return Table([[left, right]], colWidths=[_HALF, _HALF], style=style, hAlign="LEFT", splitInRow=1)
