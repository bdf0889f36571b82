"""The bundles that stand side by side in the models folder, checked once, in the parent, before any child forks."""

import logging
from dataclasses import dataclass
from pathlib import Path

from services.ml_worker.model import CARD, Bundle, load_bundle
from services.ml_worker.settings import MlWorkerSettings
from shared.errors import SetupError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InstalledModels:
    """What this worker can read with, by `name/version`."""

    bundles: dict[str, Bundle]
    default: str

    def named(self, wish: str | None) -> Bundle | None:
        """The bundle a job asks for, the default one where it asks for none; None if it is not installed."""
        return self.bundles.get(wish or self.default)

    def cards(self) -> dict[str, str]:
        """`name/version` -> card as JSON, for the ledger and so for `GET /v1/models`."""
        return {name: bundle.card.model_dump_json() for name, bundle in self.bundles.items()}


def load_installed(settings: MlWorkerSettings) -> InstalledModels:
    """Load every bundle in `models_dir`. The default must be right (SetupError); another that is not is left out."""
    default = f"{settings.model_name}/{settings.model_version}"
    chosen = load_bundle(
        settings.models_dir, settings.model_name, settings.model_version, settings.model_variant
    )
    others = {
        name: bundle
        for name in _present(settings.models_dir)
        if name != default and (bundle := _try_load(settings, name)) is not None
    }
    return InstalledModels({default: chosen, **others}, default)


def _present(root: Path) -> list[str]:
    return sorted(f"{card.parent.parent.name}/{card.parent.name}" for card in root.glob(f"*/*/{CARD}"))


def _try_load(settings: MlWorkerSettings, name: str) -> Bundle | None:
    try:
        folder, version = name.split("/")
        return load_bundle(settings.models_dir, folder, version, settings.model_variant)
    except SetupError as error:
        log.warning("a model is left out: %s", error.detail)
        return None
