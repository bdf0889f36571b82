"""The words on a card: everything about a model that is neither measured nor computed, from `about/<name>.json`."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from services.ml_worker.model import DataSource
from shared.contracts import FindingCode

FOLDER = Path(__file__).parent / "about"


class About(BaseModel):
    """What is trained, on what, and where it misleads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    positive_means: str
    #: `positive_means` as a code, of SNOMED CT only one that DICOM's own tables hold; None where there is none.
    finding: FindingCode | None = None
    modality: tuple[str, ...]
    body_part: tuple[str, ...]
    #: Sources whose images the doubt is fitted to: those most like what is to come. All, where none of these is there.
    judged_on: tuple[str, ...]
    #: What one group is.
    groups: Literal["patients", "clusters of near-duplicates"]
    data: tuple[DataSource, ...]
    limits: tuple[str, ...]

    def judges(self, sources: NDArray[np.str_]) -> NDArray[np.bool_]:
        """[n]: whether the doubt is fitted to images of each of `sources`; all of them where none is named."""
        named = np.isin(sources, self.judged_on)
        return named if named.any() else ~named


def read(name: str) -> About:
    """Of a data set that we have words for; FileNotFoundError otherwise."""
    return About.model_validate_json((FOLDER / f"{name}.json").read_text())
