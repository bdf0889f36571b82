"""The risk gauge on paper, as the page draws it: without hand and number where there is no decision."""

import math

from reportlab.lib.colors import Color, HexColor
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable

from shared.contracts import AbstainReason, FusedResult, MlReading

_BANDS = (HexColor(0x3AA17E), HexColor(0xD99A1F), HexColor(0xCF4338))
_INK = HexColor(0x17212B)
_SOFT = HexColor(0x52606D)
_DOUBT = HexColor(0x5B4B8A)
_VOID_ALPHA = 0.3
_THICK = 14.0
_RADIUS = 62.0
_WIDTH, _HEIGHT = 190.0, 124.0
_CENTRE = (95.0, 40.0)


class Gauge(Flowable):  # type: ignore[misc] # ReportLab ships no types
    """Of one result; points (1/72 inch) throughout."""

    def __init__(self, result: FusedResult, ml: MlReading) -> None:
        super().__init__()
        self.width, self.height = _WIDTH, _HEIGHT
        self.hAlign = "CENTER"
        self._risk, self._is_void = result.risk, result.label is None
        is_unknown = ml.abstain_reason is AbstainReason.OUT_OF_DISTRIBUTION
        self._threshold = None if is_unknown else result.risk.threshold
        self._voices = [
            (voice.reader[0].upper(), voice.p_positive)
            for voice in result.provenance
            if not (is_unknown and voice.reader == "ml")
        ]

    def wrap(self, *_available: float) -> tuple[float, float]:
        """Its size, whatever room there is."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw it on the page that it stands on."""
        pen: Canvas = self.canv
        edges = (0, self._risk.moderate_from, self._risk.high_from, 100)
        for colour, begin, end in zip(_BANDS, edges, edges[1:], strict=False):
            _arc(pen, begin, end, self._faded(colour))
        if self._threshold is not None:
            _ray(pen, 100 * self._threshold, _RADIUS - 10, _RADIUS + 10, 1.6)
        for letter, p in self._voices:
            _mark(pen, letter, 100 * p)
        if self._is_void:
            _words(pen, "no decision", 14, _CENTRE[1] + 14, _DOUBT)
            _words(pen, "no risk is stated", 8, _CENTRE[1] + 3, _SOFT)
            return
        _ray(pen, self._risk.score, 0, _RADIUS - 16, 2.6)
        pen.setFillColor(_INK)
        pen.circle(*_CENTRE, 4, stroke=0, fill=1)
        _words(pen, str(self._risk.score), 24, _CENTRE[1] - 26, _INK)
        _words(pen, "of 100", 8, _CENTRE[1] - 36, _SOFT)

    def _faded(self, colour: Color) -> Color:
        return Color(colour.red, colour.green, colour.blue, _VOID_ALPHA) if self._is_void else colour


def _at(score: float, radius: float) -> tuple[float, float]:
    angle = math.pi * (1 - score / 100)
    return _CENTRE[0] + radius * math.cos(angle), _CENTRE[1] + radius * math.sin(angle)


def _arc(pen: Canvas, begin: float, end: float, colour: Color) -> None:
    pen.setStrokeColor(colour)
    pen.setLineWidth(_THICK)
    left, low = _CENTRE[0] - _RADIUS, _CENTRE[1] - _RADIUS
    first, extent = 180 - 1.8 * end + 1, 1.8 * (end - begin) - 2
    pen.arc(left, low, left + 2 * _RADIUS, low + 2 * _RADIUS, first, max(extent, 0.1))


def _ray(pen: Canvas, score: float, inner: float, outer: float, thick: float) -> None:
    pen.setStrokeColor(_INK)
    pen.setLineWidth(thick)
    pen.line(*_at(score, inner), *_at(score, outer))


def _mark(pen: Canvas, letter: str, score: float) -> None:
    x, y = _at(score, _RADIUS + 16)
    pen.setLineWidth(1)
    pen.setStrokeColor(_INK)
    pen.circle(x, y, 5, stroke=1, fill=0)
    pen.setFillColor(_INK)
    pen.setFont("Helvetica-Bold", 7)
    pen.drawCentredString(x, y - 2.5, letter)


def _words(pen: Canvas, text: str, size: float, y: float, colour: Color) -> None:
    pen.setFillColor(colour)
    pen.setFont("Helvetica-Bold", size)
    pen.drawCentredString(_CENTRE[0], y, text)
