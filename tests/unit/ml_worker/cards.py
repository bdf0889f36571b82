"""A valid card; a test changes only the fields it is about."""

from typing import Any

from services.ml_worker.model import Card
from services.ml_worker.training.card import new_card


def card(**changes: Any) -> Card:
    """A card of version 9.9.9 without files or figures, with `changes` made to it."""
    plain = new_card("9.9.9", files={}, metrics={}, parity={}, training_command="none")
    return plain.model_copy(update=changes)
