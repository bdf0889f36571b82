"""Near-duplicates are found, and no split ever shares a group."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from services.ml_worker.training import splits
from services.ml_worker.training.data import Sample
from services.ml_worker.training.groups import NEAR, dhash, distances, groups
from tests.unit.ml_worker.pictures import head_slice


def sample(at: int, label: int = 0, source: str = "s", split: str = "train", group: str = "") -> Sample:
    return Sample(Path(str(at)), label, source, str(label), split, group)


def pixels(*pictures: Image.Image) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pictures])


def test_the_same_slice_otherwise_lit_is_near_and_another_is_not() -> None:
    head, other = head_slice(1), head_slice(2)
    lit = head.point([min(255, 20 + level) for level in range(256)]).filter(ImageFilter.GaussianBlur(1))
    found = distances(dhash(pixels(head)), dhash(pixels(lit, other)))[0]
    assert found[0] <= NEAR < found[1]


def test_distance_counts_bits() -> None:
    one, other = np.zeros((1, 256), np.bool_), np.zeros((1, 256), np.bool_)
    other[0, :3] = True
    assert distances(one, other).tolist() == [[3]]


def test_groups_join_by_patient_by_nearness_and_by_chains_of_both() -> None:
    hashes = np.zeros((5, 256), np.bool_)
    hashes[1, :NEAR] = hashes[2, : 2 * NEAR] = True  # 0 - 1 - 2 is a chain
    hashes[3, 100:] = hashes[4, :100] = True  # far from all and from each other, one patient
    samples = [sample(at, group="p" if at > 2 else "") for at in range(5)]
    found = groups(samples, hashes).tolist()
    assert found[0] == found[1] == found[2] != found[3] == found[4]


def test_training_keeps_away_from_its_own_test_set_only() -> None:
    samples = [
        sample(0, split="test"),
        sample(1),  # a near-duplicate of it
        sample(2, source="mixed"),  # another, in another source
        sample(3),
        sample(4, split="test"),
    ]
    found = np.array([0, 0, 0, 3, 4])
    assert splits.trainable(samples, found).tolist() == [False, False, True, True, False]
    assert splits.clean_test(samples, found).tolist() == [False, False, False, False, True]


def test_whatever_shares_a_group_with_a_source_goes_with_it() -> None:
    found = np.array([0, 1, 1, 2])
    assert splits.sharing(found, np.array([False, True, False, False])).tolist() == [False, True, True, False]


def test_near_duplicates_may_stay_and_their_test_images_go() -> None:
    samples = [sample(0, split="test"), sample(1), sample(2, split="test"), sample(3)]
    found = np.array([0, 0, 2, 3])
    assert splits.trainable(samples, found, keep=True).tolist() == [False, True, False, True]
    assert splits.clean_test(samples, found, keep=True).tolist() == [False, False, True, False]


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 1), st.sampled_from("ab")), min_size=6, max_size=60
    ),
    st.integers(0, 5),
)
def test_no_group_is_in_two_folds(members: list[tuple[int, int, str]], seed: int) -> None:
    samples = [sample(at, label, source) for at, (_, label, source) in enumerate(members)]
    owners = np.array([group for group, *_ in members])
    fold = splits.folds(samples, owners, 3, seed)
    assert all(len(np.unique(fold[owners == group])) == 1 for group in owners)
    assert (fold == splits.folds(samples, owners, 3, seed)).all()


def test_folds_are_even_in_every_source_and_class() -> None:
    samples = [sample(at, at % 2, "a" if at < 60 else "b") for at in range(90)]
    fold = splits.folds(samples, np.arange(90), 3, seed=0)
    for source, label, size in (("a", 0, 10), ("a", 1, 10), ("b", 0, 5), ("b", 1, 5)):
        here = np.array([s.source == source and s.label == label for s in samples])
        assert np.bincount(fold[here], minlength=3).tolist() == [size] * 3


def test_weights_give_both_classes_of_a_source_the_same_say() -> None:
    samples = [sample(at, int(at < 8)) for at in range(10)] + [sample(at, at % 2, "b") for at in range(4)]
    weight = splits.weights(samples)
    assert weight.mean() == pytest.approx(1)
    assert weight[:8].sum() == pytest.approx(weight[8:10].sum())
    assert weight[10:].tolist() == pytest.approx([1] * 4)


def test_source_weights_give_every_source_the_same_say() -> None:
    weight = splits.source_weights([sample(0, source="a"), *(sample(at, source="b") for at in range(3))])
    assert weight.tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
