"""The evaluation as one page that needs nothing beside it. Holds figures and plots, and not one pixel of an image."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.25em .6em;text-align:right}"
    "td:first-child,th:first-child{text-align:left}.plots{display:flex;flex-wrap:wrap;gap:8px}"
)


def page(title: str, parts: Sequence[str]) -> str:
    """The whole document around its parts, which are HTML already."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{''.join(parts)}</html>\n"
    )


def heading(words: str, text: str = "") -> str:
    """A section's start, with a sentence."""
    return f"<h2>{escape(words)}</h2>" + (f"<p>{escape(text)}</p>" if text else "")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys, which head the columns."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(key)}</th>" for key in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_cell(v))}</td>' for v in row.values())}</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def plots(pictures: Sequence[str]) -> str:
    """SVG pictures side by side."""
    return f'<div class="plots">{"".join(pictures)}</div>'


def _cell(value: Any) -> str:
    if isinstance(value, tuple | list):
        return " to ".join(_cell(part) for part in value)
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
