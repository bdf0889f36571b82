"""A reading against an earlier one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.contracts import AbstainReason, Change, ChangeRefused, Direction, Label, ModelRef, Prior
from shared.fusion.change import compare
from shared.fusion.logic import FusionPolicy, fuse
from tests.support.samples import SKIPPED, ml_reading

NOW = ml_reading(p_positive=0.75, body_part=("BRAIN",))


def prior(**changed: Any) -> Prior:
    usual = {
        "job_id": "job_" + "0" * 32,
        "read_at": datetime(2026, 1, 2, tzinfo=UTC),
        "label": Label.NEGATIVE,
        "p_positive": 0.25,
        "abstained": False,
        "model": NOW.model,
        "body_part": NOW.body_part,
    }
    return Prior(**{**usual, **changed})


@pytest.mark.parametrize(
    ("before", "direction"),
    [(0.25, Direction.RISE), (0.95, Direction.FALL), (0.70, Direction.STABLE), (0.80, Direction.STABLE)],
)
def test_the_change_is_this_reading_less_the_prior(before: float, direction: Direction) -> None:
    change = compare(NOW, prior(p_positive=before), margin=0.1)
    assert isinstance(change, Change)
    assert change.delta_p_positive == pytest.approx(0.75 - before)
    assert change.direction is direction


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"model": ModelRef(name="other", version="1", sha256="1" * 64)}, "different_model"),
        ({"body_part": ("CHEST",)}, "different_body_part"),
        ({"abstained": True}, "abstained"),
    ],
)
def test_what_does_not_compare_is_refused(changed: dict[str, Any], reason: str) -> None:
    change = compare(NOW, prior(**changed), margin=0.1)
    assert isinstance(change, ChangeRefused)
    assert change.reason == reason


def test_a_reading_that_abstained_does_not_compare() -> None:
    unsure = NOW.model_copy(update={"abstain_reason": AbstainReason.INCONCLUSIVE})
    assert isinstance(compare(unsure, prior(), margin=0.1), ChangeRefused)


def test_the_result_carries_the_change_only_where_a_prior_was_named() -> None:
    assert fuse(NOW, SKIPPED, FusionPolicy()).change is None
    assert isinstance(fuse(NOW, SKIPPED, FusionPolicy(), prior()).change, Change)
