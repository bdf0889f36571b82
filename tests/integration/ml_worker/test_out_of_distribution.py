"""The shipped model, as the worker runs it, on pictures that are no brain MRI: none of them is "Negative"."""

import io

import pytest

from services.ml_worker.installed import load_installed
from services.ml_worker.reader import Reader
from services.ml_worker.settings import MlWorkerSettings
from services.ml_worker.training.drawn import DRAWERS, outliers
from shared.contracts import AbstainReason, ReviewReason
from shared.fusion.logic import FusionPolicy, fuse
from tests.support.images import encoded
from tests.support.samples import SKIPPED

#: Not the seed that the gate was measured with.
_SEED = 20_261_122


@pytest.fixture(scope="module")
def reader() -> Reader:
    settings = MlWorkerSettings()
    return Reader(load_installed(settings), settings)


@pytest.mark.parametrize("kind", list(DRAWERS))
def test_a_picture_of_another_kind_is_out_of_distribution(reader: Reader, kind: str) -> None:
    for name, picture in outliers(3, seed=_SEED):
        if name != kind:
            continue
        reading = reader.read(encoded(picture), wish=None).reading
        assert reading.abstain_reason is AbstainReason.OUT_OF_DISTRIBUTION, f"score {reading.ood_score}"
        result = fuse(reading, SKIPPED, FusionPolicy())
        assert result.label is None
        assert ReviewReason.ML_ABSTAINED in result.review_reasons


def test_views_leave_the_doubt_in_place(reader: Reader) -> None:
    settings = MlWorkerSettings(ml_tta=True)
    averaging = Reader(load_installed(settings), settings)
    picture = io.BytesIO()
    next(iter(outliers(1, seed=_SEED)))[1].save(picture, "JPEG")
    reading = averaging.read(picture.getvalue(), wish=None).reading
    assert reading.views == 4
    assert reading.abstained
