"""The report as one page with its pictures in it: SVG as text, no script, nothing fetched."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from benchmarks.summary import headline, held

_WIDE, _BAR, _LEFT = 760, 26, 220
_OURS, _THEIRS, _LINE = "#1b6ca8", "#9aa7b4", "#d7dde3"
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:820px;margin:2em auto;padding:0 1em;color:#1c2733}
table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #d7dde3;padding:.25em .6em;text-align:left}
h1,h2{font-weight:600}svg{max-width:100%}pre{white-space:pre-wrap}"""


def page(report: dict[str, Any]) -> str:
    """The whole page."""
    inside = [_conditions(report), _verdict(report), *_pictures(report), _tables(report)]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>MediScan: how fast</title>"
        f"<style>{_STYLE}</style><h1>MediScan: how fast, beside whom, and where the time goes</h1>"
        f"{''.join(inside)}</html>"
    )


def _conditions(report: dict[str, Any]) -> str:
    said = report["conditions"]
    return f"<p>{escape(', '.join(f'{name} {value}' for name, value in said.items()))}</p>"


def _verdict(report: dict[str, Any]) -> str:
    rows = (
        f"<tr><td>{escape(name)}<td>{asked:g}<td>{measured:.2f}<td>{'holds' if is_held else 'does not hold'}"
        for name, asked, measured, is_held in held(report)
    )
    return (
        f"<h2>What we hold ourselves to</h2><table><tr><th><th>asked<th>measured<th>{''.join(rows)}</table>"
    )


def _pictures(report: dict[str, Any]) -> list[str]:
    entrants = [one for one in report.get("race", []) if not one["absent"]]
    found = []
    if entrants:
        found = [
            bars("Jobs a second at saturation", [(one["name"], one["per_s"]) for one in entrants]),
            bars("Processor time a job, ms", [(one["name"], one["cpu_us"] / 1000) for one in entrants]),
            bars(
                "Idle: from submission to result, p50, ms",
                [(one["name"], one["idle_p50_ms"]) for one in entrants],
            ),
            bars("Resident, MiB", [(one["name"], one["resident_mib"]) for one in entrants]),
            bars(
                "Where a job's processor time goes, us",
                sorted(entrants[0]["roles_us"].items(), key=lambda at: -at[1]),
            ),
        ]
    if "step" in report:
        found.append(
            bars("ML step, ms", [(name, one["wall_us"] / 1000) for name, one in report["step"].items()])
        )
    for name, points in report.get("curves", {}).items():
        found.append(
            curve(
                f"Processor time a job in ms, against {name}",
                [(p["size"], p["total_us"] / 1000) for p in points],
            )
        )
    return found


def bars(title: str, values: Sequence[tuple[str, float]]) -> str:
    """One bar a name, ours in another colour."""
    most = max([value for _, value in values] or [0.0]) or 1.0
    room = _WIDE - _LEFT - 90
    rows = "".join(
        f'<text x="{_LEFT - 8}" y="{_BAR * at + 18}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{_LEFT}" y="{_BAR * at + 5}" width="{room * value / most:.1f}" height="{_BAR - 8}" '
        f'fill="{_OURS if name.startswith("MediScan") else _THEIRS}"/>'
        f'<text x="{_LEFT + room * value / most + 6:.1f}" y="{_BAR * at + 18}">{value:,.1f}</text>'
        for at, (name, value) in enumerate(values)
    )
    return _framed(title, _BAR * len(values) + 6, rows)


def curve(title: str, points: Sequence[tuple[float, float]]) -> str:
    """Values over a logarithmic axis, from zero."""
    tall, room = 180, _WIDE - 120
    most = 1.2 * max([value for _, value in points] or [0.0]) or 1.0
    first, last = math.log(max(points[0][0], 1)), math.log(max(points[-1][0], 1))
    width = (last - first) or 1.0
    placed = [
        (60 + room * (math.log(max(size, 1)) - first) / width, tall - (tall - 20) * value / most)
        for size, value in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_OURS}"/>'
        f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{value:.1f}</text>'
        f'<text x="{x:.1f}" y="{tall + 16}" text-anchor="middle">{size:,.0f}</text>'
        for (x, y), (size, value) in zip(placed, points, strict=True)
    )
    line = f'<line x1="50" x2="{_WIDE - 40}" y1="{tall}" y2="{tall}" stroke="{_LINE}"/>'
    return _framed(
        title,
        tall + 24,
        f'{line}<polyline points="{path}" fill="none" stroke="{_OURS}" stroke-width="2"/>{marks}',
    )


def _framed(title: str, tall: int, inside: str) -> str:
    return (
        f"<h2>{escape(title)}</h2>"
        f'<svg role="img" aria-label="{escape(title)}" width="{_WIDE}" height="{tall}" viewBox="0 0 {_WIDE} {tall}" '
        f'font-size="12" font-family="system-ui,sans-serif" fill="#1c2733">{inside}</svg>'
    )


def _tables(report: dict[str, Any]) -> str:
    return f"<h2>The same in figures</h2><pre>{escape(headline(report))}</pre>"
