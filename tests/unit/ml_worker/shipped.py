"""The bundle that serves unless a setting says otherwise."""

from services.ml_worker.model import Bundle, Variant, load_bundle
from services.ml_worker.settings import SHIPPED_MODELS, MlWorkerSettings

NAME, VERSION = (
    str(MlWorkerSettings.model_fields[field].default) for field in ("model_name", "model_version")
)


def shipped_bundle(variant: str = Variant.INT8) -> Bundle:
    """As the worker loads it."""
    return load_bundle(SHIPPED_MODELS, NAME, VERSION, variant)
