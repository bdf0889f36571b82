"""When a delivery is tried again. Pure."""

from collections.abc import Callable

from shared.contracts import DeliveryOutcome, DeliveryState

#: Pauses after the first, second, ... attempt, in seconds: about 31 hours in all.
PAUSES_S = (5, 30, 120, 600, 3600, 6 * 3600, 24 * 3600)
#: A pause is longer by up to this part of it, so that what failed together does not come back together.
_JITTER = 0.1
#: The longest pause a receiver may ask for.
_MOST_ASKED_S = 24 * 3600.0

_FINAL = {
    DeliveryOutcome.DELIVERED: DeliveryState.DELIVERED,
    DeliveryOutcome.GONE: DeliveryState.FAILED,
    DeliveryOutcome.UNMADE: DeliveryState.FAILED,
}


def after(
    outcome: DeliveryOutcome, tries: int, asked_s: float | None, random: Callable[[], float]
) -> tuple[DeliveryState, float]:
    """Where the delivery then stands, and the seconds until it is due again.

    tries: attempts so far, this one among them. asked_s: what the receiver asked for. random: in [0, 1).
    """
    if outcome in _FINAL:
        return _FINAL[outcome], 0
    if tries > len(PAUSES_S):
        return DeliveryState.FAILED, 0
    pause = PAUSES_S[tries - 1] * (1 + _JITTER * random())
    return DeliveryState.PENDING, max(pause, min(asked_s or 0, _MOST_ASKED_S))
