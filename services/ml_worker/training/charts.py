"""Pictures of the report as SVG text: no plotting library, and a self-contained page."""

from collections.abc import Sequence
from html import escape

from services.ml_worker.training.metrics import Rates

_SIDE = 260
_LEFT, _TOP, _FOOT = 44, 26, 40
_COLOURS = ("#1b6ca8", "#c0392b", "#7d8b99")

#: A curve: its name and its points, x and y in [0, 1].
Curve = tuple[str, Sequence[tuple[float, float]]]


def curves(title: str, axes: tuple[str, str], drawn: Sequence[Curve], *, diagonal: bool = False) -> str:
    """A square plot of [0, 1] x [0, 1] with a line and a legend entry for each curve."""
    lines = [_line("chance", [(0.0, 0.0), (1.0, 1.0)], "#bbb", None)] if diagonal else []
    lines += [_line(name, points, _COLOURS[at % 3], at) for at, (name, points) in enumerate(drawn)]
    return _framed(title, axes, "".join(lines))


def against_strength(
    title: str, strengths: Sequence[float], drawn: Sequence[tuple[str, Sequence[float]]]
) -> str:
    """Values in [0, 1] over steps of unequal strength, at equal distances; the steps are written below."""
    steps = max(1, len(strengths) - 1)
    lines = [
        _line(name, [(at / steps, value) for at, value in enumerate(values)], _COLOURS[place % 3], place)
        for place, (name, values) in enumerate(drawn)
    ]
    return _framed(title, (", ".join(f"{strength:g}" for strength in strengths), ""), "".join(lines))


def confusion(title: str, at: Rates) -> str:
    """Four cells, darker where more images are."""
    cells = ((0, 0, "TN", at.tn), (1, 0, "FP", at.fp), (0, 1, "FN", at.fn), (1, 1, "TP", at.tp))
    most = max(1, *(number for *_, number in cells))
    drawn = "".join(
        f'<rect x="{_LEFT + column * _SIDE / 2}" y="{_TOP + row * _SIDE / 2}" width="{_SIDE / 2}"'
        f' height="{_SIDE / 2}" fill="#1b6ca8" fill-opacity="{0.08 + 0.6 * number / most:.2f}"/>'
        f"{_text(_LEFT + (column + 0.5) * _SIDE / 2, _TOP + (row + 0.5) * _SIDE / 2, f'{name} {number}')}"
        for column, row, name, number in cells
    )
    return _framed(title, ("answered: Negative, Positive", "truth: Positive, Negative"), drawn, ticks=False)


def _line(name: str, points: Sequence[tuple[float, float]], colour: str, entry: int | None) -> str:
    path = " ".join(f"{_LEFT + x * _SIDE:.1f},{_TOP + (1 - y) * _SIDE:.1f}" for x, y in points)
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
    if entry is None:
        return line
    low = _TOP + _SIDE - 10 - 14 * entry
    return line + _text(_LEFT + _SIDE - 6, low, name, anchor="end", colour=colour)


def _framed(title: str, axes: tuple[str, str], inside: str, *, ticks: bool = True) -> str:
    width, height = _LEFT + _SIDE + 14, _TOP + _SIDE + _FOOT
    middle = _TOP + _SIDE / 2
    marks = "".join(
        _text(_LEFT - 4, _TOP + (1 - at) * _SIDE + 4, f"{at:g}", anchor="end") for at in (0, 0.5, 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img">'
        f"{_text(_LEFT + _SIDE / 2, 16, title)}"
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#888"/>'
        f"{marks if ticks else ''}{inside}{_text(_LEFT + _SIDE / 2, height - 12, axes[0])}"
        f'<g transform="rotate(-90 12 {middle})">{_text(12, middle, axes[1])}</g></svg>'
    )


def _text(x: float, y: float, words: str, *, anchor: str = "middle", colour: str = "#222") -> str:
    style = f'font-family="sans-serif" font-size="12" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'
