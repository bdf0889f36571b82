"""The sections of the evaluation's page, in their order, from what goes to JSON."""

from typing import Any

from services.ml_worker.model import Variant
from services.ml_worker.training import report

#: Sections that come from the card, with what to know of them.
_TRAINED = {
    "leave one source out": "By networks that never saw that source, from the card: the head alone, and fine-tuned."
    " Intervals over groups; sensitivity and specificity at the shipped threshold, which was not fitted to these.",
    "cross-validation": "By networks that never saw that image's group, from the card. Intervals over groups.",
}

#: Of a measurement what stands elsewhere on the page: its title, and the points of its pictures.
_SHOWN_ELSEWHERE = {"split", "roc", "reliability"}


def page(found: dict[str, Any], pictures: dict[str, list[str]]) -> str:
    """The whole page: `found` as it goes to JSON, and the pictures of each section."""
    model = found["model"]
    parts = []
    for name, figures_of in found["sets"].items():
        rows = [
            {"figure": key, "value": value}
            for key, value in figures_of.items()
            if key not in _SHOWN_ELSEWHERE
        ]
        parts += [report.heading(name, figures_of["split"]), report.plots(pictures[name]), report.table(rows)]
    parts += [report.heading("Images of another kind"), report.table(_named(found["outliers"]))]
    parts += [report.heading("Robustness", "Strengths from left to right as written below each plot.")]
    parts += [report.plots(pictures["robustness"])]
    heatmap = [{"check": key, "value": value} for key, value in found["heatmap"].items()]
    parts += [report.heading("Heatmap"), report.table(heatmap)]
    parts += _trained(found["training"])
    parts += [report.heading("Skipped", f"{len(found['skipped'])} files could not be read.")]
    return report.page(f"{model['name']} {model['version']}", parts)


def _trained(told: dict[str, Any]) -> list[str]:
    shown = ("n", "groups", "auc", "auc_interval", "sensitivity", "specificity", "ece")
    parts = []
    for section, words in _TRAINED.items():
        rows = [{"set": name, **{key: got[key] for key in shown}} for name, got in told[section].items()]
        parts += [report.heading(section.capitalize(), words if rows else "Not done."), report.table(rows)]
    parts += [report.heading("Seeds", "Held-out AUC of each."), report.table(_named(told["seeds"]))]
    rows = [_flat(row) for row in told["comparison"]]
    return [*parts, report.heading("Backbones", "Trained for the same task."), report.table(rows)]


def _flat(compared: dict[str, Any]) -> dict[str, Any]:
    """One row of the comparison without its inner dictionary."""
    row = {key: value for key, value in compared.items() if key not in {"files", "refused"}}
    for variant in Variant:
        cost = compared["files"].get(variant, {"bytes": None, "ms": None})
        row |= {f"{variant}, bytes": cost["bytes"], f"{variant}, ms": cost["ms"]}
    return {**row, "refused": "; ".join(compared["refused"]) or "no"}


def _named(rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"set": name, **row} for name, row in rows.items()]
