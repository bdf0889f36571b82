"""The ML worker's knobs: which model, how many children, and the bounds on one image."""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from shared.fusion.settings import PolicySettings
from shared.image.settings import DecodeSettings
from shared.settings import Seconds

#: The bundles that come with the source.
SHIPPED_MODELS = Path(__file__).parent / "models"


class MlWorkerSettings(PolicySettings, DecodeSettings):
    """Shared knobs, those of the decision, and those of the ML worker."""

    ml_concurrency: int = Field(
        1, ge=1, description="Child processes of one ML worker; each holds a model (about 100 MB)."
    )
    ml_threads: int = Field(
        0, ge=0, description="Threads of one child's model; 0: two, or one where there is one core."
    )
    models_dir: Path = Field(
        SHIPPED_MODELS, description="Folder of model bundles, `<name>/<version>/card.json`."
    )
    model_name: str = Field("brain-mri-mobilenetv2", description="The bundle that reads.")
    model_version: str = Field("0.4.0", description="The version of that bundle.")
    model_variant: Literal["int8", "float32"] = Field(
        "int8", description="`int8` is smaller and faster, `float32` the reference."
    )
    ml_tta: bool = Field(
        default=False,
        description="Average four views of each image (mirrored, two scales): four times the inference time.",
    )
    max_pixels: int = Field(30_000_000, ge=1, description="An image of more pixels than this is refused.")
    ml_time_limit_s: Seconds = Field(
        20, description="A child still busy with one image after this long is killed."
    )

    @property
    def threads(self) -> int:
        """Of one child's model. Two take half the time of one where a core is idle, and as long where none is."""
        return self.ml_threads or min(2, len(os.sched_getaffinity(0)))

    @model_validator(mode="after")
    def _limit_within_lease(self) -> Self:
        if self.ml_time_limit_s >= self.ml_lease_s:
            raise ValueError("ml_time_limit_s must be under ml_lease_s")
        return self
