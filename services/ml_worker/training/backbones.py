"""The backbones that `--backbone` names."""

from collections.abc import Callable
from pathlib import Path

from services.ml_worker.training import efficientnet, vit
from services.ml_worker.training.network import Backbone, mobilenet

BACKBONES: dict[str, Callable[[Path | None], Backbone]] = {
    "mobilenetv2": mobilenet,
    "efficientnet_b0": efficientnet.efficientnet_b0,
    "vit_small": vit.vit_small,
}
