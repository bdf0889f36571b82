"""The Grad-CAM is exact: its sum and the head's biases add up to the logit, on the bundle that is shipped.

With h = W1'z + b1 the hidden layer before its ReLU: sum(CAM) + sum over h > 0 of b1 * W2 + b2 = logit.
The head's weights are read from the model file itself, so nothing here repeats the arithmetic of the graph.
"""

import numpy as np
import pytest

from services.ml_worker.image import preprocess
from services.ml_worker.model import Variant, load_bundle
from services.ml_worker.settings import SHIPPED_MODELS
from services.ml_worker.training.card import NAME
from tests.unit.ml_worker.heads import head_of
from tests.unit.ml_worker.pictures import head_slice

TOLERANCE = 1e-4
POSITIVE = 1


@pytest.mark.parametrize("variant", list(Variant))
def test_cam_and_biases_add_up_to_the_logit(variant: Variant) -> None:
    bundle = load_bundle(SHIPPED_MODELS, NAME, "0.1.0", variant)
    model, head = bundle.open(), head_of(bundle)
    for seed in range(5):
        outputs = model.infer(preprocess(head_slice(seed)))
        active = head.w1 @ outputs.embedding + head.b1 > 0
        biases = (active * head.b1) @ head.w2[POSITIVE] + head.b2[POSITIVE]
        assert outputs.cam.sum() + biases == pytest.approx(outputs.logits[POSITIVE], abs=TOLERANCE)


def test_the_map_is_signed_and_not_flat() -> None:
    model = load_bundle(SHIPPED_MODELS, NAME, "0.1.0").open()
    maps = np.array([model.infer(preprocess(head_slice(seed))).cam for seed in range(5)])
    assert maps.min() < 0 < maps.max()
    assert (maps.std(axis=(1, 2)) > 0.01).all()
