"""The release gate: whether a bundle may be promoted, and if not, every reason why. Pure."""

from services.ml_worker.model import Card, Parity, Variant

#: Lower end of the 95 % interval, over groups, of the AUC on held-out images.
LEAST_AUC = 0.80
#: Expected calibration error on held-out images, after scaling.
MOST_CALIBRATION_ERROR = 0.05
#: int8 against float32 on one set: labels may flip, P(positive) move on average, and AUC fall, by this much.
MOST_FLIPS = 0.01
MOST_MEAN_DP = 0.02
MOST_AUC_LOSS = 0.005

#: The set of held-out images that the first two are about; every bundle's card has it.
HELD_OUT = "cross_validation"


def reasons(card: Card) -> list[str]:
    """Why `card` must not be promoted; empty where it may be."""
    return [*_incomplete(card), *_quality(card), *_parity(card)]


def _quality(card: Card) -> list[str]:
    found = []
    held_out = {name: got for name, got in card.metrics.items() if name.startswith(HELD_OUT)}
    for name, got in held_out.items():
        if got.auc_interval[0] < LEAST_AUC:
            found.append(
                f"{name}: AUC {got.auc} ({got.auc_interval[0]} to {got.auc_interval[1]} over {got.groups} groups):"
                f" the lower end must reach {LEAST_AUC}"
            )
        if got.ece > MOST_CALIBRATION_ERROR:
            found.append(f"{name}: calibration error {got.ece}: must not exceed {MOST_CALIBRATION_ERROR}")
    return found


def _parity(card: Card) -> list[str]:
    return [
        f"int8 parity on {name}: {fault}"
        for name, held in card.parity.items()
        for fault in parity_faults(held, card)
    ]


def parity_faults(held: Parity, card: Card) -> list[str]:
    """What int8 loses on one set that matters."""
    loss = held.auc_float32 - held.auc_int8
    faults = (
        (held.label_flips > max(1, MOST_FLIPS * held.n), f"{held.label_flips} of {held.n} labels flip"),
        (held.mean_abs_dp > MOST_MEAN_DP, f"P(positive) moves by {held.mean_abs_dp} on average"),
        (loss > MOST_AUC_LOSS, f"AUC falls by {loss:.4f}"),
    )
    return [fault for wrong, fault in faults if wrong and Variant.INT8 in card.files]


def _incomplete(card: Card) -> list[str]:
    missing = {
        "no int8 file": Variant.INT8 in card.files,
        "no held-out figures": HELD_OUT in card.metrics,
        "no parity figures": bool(card.parity),
        "no OOD figures": bool(card.ood.auroc),
        "no data named": bool(card.data),
        "no limits named": bool(card.limits),
        "no body part named": bool(card.body_part and card.modality),
    }
    return [f"incomplete card: {what}" for what, there in missing.items() if not there]
