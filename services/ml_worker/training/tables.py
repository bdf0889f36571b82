"""A card's figures as rows of a Markdown table: `python -m services.ml_worker.training.tables FOLDER` for the page."""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from services.ml_worker.model import CARD, Card, Compared, Interval, Variant

METRICS_HEAD = (
    (
        "| set | n (positive) | groups | AUC | accuracy | sensitivity | specificity"
        " | ECE | Brier | abstained | accuracy of the rest |"
    ),
    "|---|---|---|---|---|---|---|---|---|---|---|",
)
PARITY_HEAD = (
    "| set | n | label flips | largest difference of P(positive) | mean | AUC int8 | AUC float32 |",
    "|---|---|---|---|---|---|---|",
)
REPEATS_HEAD = (
    "| set | seeds | AUC of each | mean | standard deviation | mean AUC after each epoch |",
    "|---|---|---|---|---|---|",
)
COMPARISON_HEAD = (
    "| network | epochs | seeds | held-out AUC | float32 | int8 | release gate |",
    "|---|---|---|---|---|---|---|",
)


def metrics(card: Card) -> list[str]:
    """One row a set."""
    return [
        f"| {name} | {got.n} ({got.n_positive}) | {got.groups} | {_with(got.auc, got.auc_interval)}"
        f" | {got.accuracy:.3f} | {_with(got.sensitivity, got.sensitivity_interval)}"
        f" | {_with(got.specificity, got.specificity_interval)} | {got.ece:.3f} | {got.brier:.3f}"
        f" | {got.abstained:.3f} | {_maybe(got.accuracy_kept)} |"
        for name, got in card.metrics.items()
    ]


def parity(card: Card) -> list[str]:
    """One row a set."""
    return [
        f"| {name} | {held.n} | {held.label_flips} | {held.max_abs_dp:.3f} | {held.mean_abs_dp:.4f}"
        f" | {held.auc_int8:.4f} | {held.auc_float32:.4f} |"
        for name, held in card.parity.items()
    ]


def repeats(card: Card) -> list[str]:
    """One row a cross-validated set."""
    return [
        f"| {name} | {', '.join(map(str, got.seeds))} | {_list(got.auc)} | {mean(got.auc):.3f} | {_spread(got.auc)}"
        f" | {_list(got.by_epoch)} |"
        for name, got in card.repeats.items()
    ]


def comparison(card: Card) -> list[str]:
    """One row a network."""
    return [
        f"| {got.architecture} | {got.epochs} | {got.seeds} | {_with(got.auc, got.auc_interval)}"
        f" | {_cost(got, Variant.FLOAT32)} | {_cost(got, Variant.INT8)} | {_verdict(got)} |"
        for got in card.comparison
    ]


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def _spread(values: Sequence[float]) -> str:
    return f"{stdev(values):.3f}" if len(values) > 1 else "-"


def _cost(got: Compared, variant: Variant) -> str:
    cost = got.files.get(variant)
    return "-" if cost is None else f"{cost.bytes / 1e6:.1f} MB, {cost.ms:.1f} ms"


def _verdict(got: Compared) -> str:
    if not got.files:
        return "not exported"
    return f"refused, {len(got.refused)} reasons" if got.refused else "passes"


def _with(value: float, interval: Interval) -> str:
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


def _maybe(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main(argv: Sequence[str]) -> None:
    """All tables of the bundle in the folder named, to standard output."""
    card = Card.model_validate_json((Path(argv[0]) / CARD).read_bytes())
    rows = [*METRICS_HEAD, *metrics(card), "", *PARITY_HEAD, *parity(card), ""]
    rows += [*REPEATS_HEAD, *repeats(card), "", *COMPARISON_HEAD, *comparison(card)]
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
