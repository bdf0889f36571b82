"""A card's figures as rows of a Markdown table: `python -m services.ml_worker.training.tables FOLDER` for the page."""

import sys
from collections.abc import Sequence
from pathlib import Path

from services.ml_worker.model import CARD, Card, Interval

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


def _with(value: float, interval: Interval) -> str:
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


def _maybe(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main(argv: Sequence[str]) -> None:
    """Both tables of the bundle in the folder named, to standard output."""
    card = Card.model_validate_json((Path(argv[0]) / CARD).read_bytes())
    rows = [*METRICS_HEAD, *metrics(card), "", *PARITY_HEAD, *parity(card)]
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
