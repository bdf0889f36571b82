"""How far int8 is from float32 on the same images."""

import numpy as np

from services.ml_worker.model import Card, Parity
from services.ml_worker.training import metrics
from services.ml_worker.training.scored import Scored, scale_of

_DECIMALS = 4


def parity(int8: Scored, float32: Scored, card: Card) -> Parity:
    """Two variants on one set of images, at the card's threshold."""
    small, large = int8.p_positive(scale_of(card)), float32.p_positive(scale_of(card))
    difference = np.abs(small - large)
    return Parity(
        n=len(small),
        max_abs_dp=round(float(difference.max()), _DECIMALS),
        mean_abs_dp=round(float(difference.mean()), _DECIMALS),
        label_flips=int(((small >= card.threshold) != (large >= card.threshold)).sum()),
        auc_int8=round(metrics.auc(int8.truth, small), _DECIMALS),
        auc_float32=round(metrics.auc(float32.truth, large), _DECIMALS),
    )
