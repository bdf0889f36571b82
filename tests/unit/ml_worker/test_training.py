"""The parts of training that need no TensorFlow: what is read from disk, how it is split, how it is judged."""

from pathlib import Path

import numpy as np
import pytest

from services.ml_worker.training.data import Sample, labels, list_samples, load_images, split
from services.ml_worker.training.evaluate import auc, parity, set_metrics
from tests.unit.ml_worker.pictures import head_slice


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, one stray folder inside a class, one file that is no image, one unknown class."""
    for name in ("notumor/a.jpg", "notumor/b.PNG", "glioma/c.jpeg", "glioma/.cache/d.jpg", "other/e.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        head_slice(1, side=64).save(tmp_path / name)
    (tmp_path / "notumor" / "readme.txt").write_text("not an image")
    return tmp_path


def test_only_images_directly_in_known_classes_are_taken(folder: Path) -> None:
    samples = list_samples(folder)
    assert [(sample.path.name, sample.label) for sample in samples] == [
        ("c.jpeg", 1),
        ("a.jpg", 0),
        ("b.PNG", 0),
    ]
    assert load_images(samples).shape == (3, 224, 224, 3)


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no class folder with images"):
        list_samples(tmp_path)


def test_the_split_is_disjoint_stratified_and_repeatable() -> None:
    samples = [Sample(Path(str(number)), int(number < 30)) for number in range(100)]
    kept, aside = split(samples, 0.1, seed=3)
    assert {sample.path for sample in kept} | {sample.path for sample in aside} == {s.path for s in samples}
    assert (len(kept), len(aside), int(labels(aside).sum())) == (90, 10, 3)
    assert (kept, aside) == split(samples, 0.1, seed=3)
    assert aside != split(samples, 0.1, seed=4)[1]


TRUTH = np.array([0, 0, 1, 1])


def test_auc_counts_ordered_pairs_and_half_of_ties() -> None:
    assert auc(TRUTH, np.array([0.1, 0.2, 0.3, 0.4])) == 1
    assert auc(TRUTH, np.array([0.1, 0.3, 0.2, 0.4])) == 0.75
    assert auc(TRUTH, np.full(4, 0.5)) == 0.5


def test_rates_at_the_threshold() -> None:
    found = set_metrics(TRUTH, np.array([0.1, 0.5, 0.5, 0.4]), 0.5, "by hand")
    assert (found.n, found.n_positive, found.auc) == (4, 2, 0.625)
    assert (found.accuracy, found.sensitivity, found.specificity) == (0.5, 0.5, 0.5)


def test_parity_counts_flips() -> None:
    found = parity(TRUTH, np.array([0.1, 0.6, 0.7, 0.9]), np.array([0.1, 0.4, 0.7, 0.8]), 0.5)
    assert (found.label_flips, found.max_abs_dp, found.mean_abs_dp) == (1, 0.2, 0.075)
