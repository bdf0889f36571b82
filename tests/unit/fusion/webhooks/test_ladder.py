"""When a delivery is tried again."""

import pytest

from services.fusion.webhooks.ladder import PAUSES_S, after
from shared.contracts import DeliveryOutcome, DeliveryState

ENDS = {
    DeliveryOutcome.DELIVERED: DeliveryState.DELIVERED,
    DeliveryOutcome.GONE: DeliveryState.FAILED,
    DeliveryOutcome.UNMADE: DeliveryState.FAILED,
}


@pytest.mark.parametrize(("outcome", "state"), ENDS.items())
def test_some_outcomes_are_final_at_once(outcome: DeliveryOutcome, state: DeliveryState) -> None:
    assert after(outcome, 1, 60, lambda: 0.5) == (state, 0)


@pytest.mark.parametrize("outcome", sorted(set(DeliveryOutcome) - set(ENDS)))
def test_every_other_outcome_is_tried_again_later_and_later_and_then_given_up(
    outcome: DeliveryOutcome,
) -> None:
    found = [after(outcome, tries, None, lambda: 0) for tries in range(1, len(PAUSES_S) + 2)]
    assert found == [*((DeliveryState.PENDING, pause) for pause in PAUSES_S), (DeliveryState.FAILED, 0)]


def test_what_failed_together_does_not_come_back_together() -> None:
    pauses = {after(DeliveryOutcome.TIMEOUT, 1, None, lambda part=part: part)[1] for part in (0, 0.5, 0.9)}  # type: ignore[misc]
    assert len(pauses) == 3
    assert min(pauses) == PAUSES_S[0]


def test_a_receiver_may_ask_for_a_longer_pause_but_not_for_any() -> None:
    assert after(DeliveryOutcome.REJECTED, 1, 300, lambda: 0) == (DeliveryState.PENDING, 300)
    assert after(DeliveryOutcome.REJECTED, 1, 1, lambda: 0) == (DeliveryState.PENDING, PAUSES_S[0])
    assert after(DeliveryOutcome.REJECTED, 1, 1e9, lambda: 0) == (DeliveryState.PENDING, 86_400)
