"""How many threads one reading takes, and that it is the same reading whatever their number."""

import os

import numpy as np
import pytest

from services.ml_worker.image import preprocess
from services.ml_worker.settings import MlWorkerSettings
from tests.unit.ml_worker.pictures import head_slice
from tests.unit.ml_worker.shipped import shipped_bundle


@pytest.mark.parametrize(("cores", "wished", "threads"), [(1, 0, 1), (2, 0, 2), (16, 0, 2), (1, 3, 3)])
def test_two_where_there_are_two_cores_unless_told(
    monkeypatch: pytest.MonkeyPatch, cores: int, wished: int, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cores)))

    assert MlWorkerSettings(ml_threads=wished).threads == threads


def test_a_reading_does_not_depend_on_the_number_of_threads() -> None:
    bundle, batch = shipped_bundle(), preprocess(head_slice(0))

    alone, shared = bundle.open(1).infer(batch), bundle.open(2).infer(batch)

    assert alone.distance == shared.distance
    for name in ("logits", "embedding", "cam"):
        assert np.array_equal(getattr(alone, name), getattr(shared, name))
