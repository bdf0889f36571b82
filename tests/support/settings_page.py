"""Writes docs/settings.md from the settings classes: `python -m tests.support.settings_page > docs/settings.md`."""

import sys
from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from embedded.settings import EmbeddedSettings
from services.fusion.settings import FusionSettings
from services.gateway.settings import GatewaySettings
from services.gemini_worker.settings import GeminiWorkerSettings
from services.ml_worker.settings import SHIPPED_MODELS, MlWorkerSettings
from shared.settings import Settings

_HEAD = """# Settings

Every setting is an environment variable with the prefix `MEDISCAN_`. A secret may also stand in a file of its
name in lower case (for example `mediscan_gemini_api_key`) in a folder that `MEDISCAN_SECRETS_DIR` names
(several: joined with `:`).
An unusable value stops start-up with one line that names the variable. Seconds where the name ends in `_s`.
S3 credentials and endpoint come from the usual `AWS_` variables, which the storage library reads itself.

Written by `python -m tests.support.settings_page > docs/settings.md`; a test fails when it is out of date.
"""

_SECTIONS: tuple[tuple[str, type[BaseSettings]], ...] = (
    ("Every service", Settings),
    ("Gateway", GatewaySettings),
    ("ML worker", MlWorkerSettings),
    ("Gemini worker", GeminiWorkerSettings),
    ("Fusion and reaper", FusionSettings),
    ("Embedded cluster (`make demo`, `make run`)", EmbeddedSettings),
)


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(title, cls) for title, cls in _SECTIONS)])


def _section(title: str, cls: type[BaseSettings]) -> str:
    rows = "\n".join(_rows(cls))
    return f"## {title}\n\n| variable | default | meaning |\n|---|---|---|\n{rows}\n"


def _rows(cls: type[BaseSettings]) -> Iterator[str]:
    inherited = set() if cls is Settings else set(Settings.model_fields)
    for name, field in cls.model_fields.items():
        if name not in inherited:
            yield f"| `MEDISCAN_{name.upper()}` | {_shown(field.default)} | {field.description} |"


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default is None or default == "":
        return "none"
    if default == SHIPPED_MODELS:
        return "`services/ml_worker/models`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    sys.stdout.write(page())
