"""The whole of `make train` on drawn heads and a small network: refused, with reasons, and everything written.

Then two such runs averaged by `--ensemble`, and another that goes on from what the first one kept.
"""

import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.ml_worker.image import preprocess
from services.ml_worker.model import Bundle, Variant, load_bundle
from services.ml_worker.training import sanity
from services.ml_worker.training.heads import heads_of
from shared.errors import SetupError
from tests.integration.ml_worker.small import small_backbone
from tests.unit.ml_worker.pictures import head_slice

HEADS = 32
NAME = "brain-mri-mobilenetv2"


@pytest.fixture(scope="module")
def train() -> Any:
    """TensorFlow takes seconds to import, so only where it is used."""
    with warnings.catch_warnings():
        # A Google client library that TensorFlow finds and imports announces the end of Python 3.11.
        warnings.simplefilter("ignore", FutureWarning)
        from services.ml_worker.training import train  # noqa: PLC0415
    return train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn heads: of `heads` 24 to train on and 8 to test on, and one broken file; 12 more in `web`."""
    folder = tmp_path_factory.mktemp("training")
    for number in range(HEADS):
        split, kind = "Testing" if number % 4 == 0 else "Training", "glioma" if number % 8 < 4 else "notumor"
        draw(folder / "heads" / split / kind, number)
    for number in range(HEADS, HEADS + 12):
        draw(folder / "web" / ("yes" if number % 2 else "no"), number)
    (folder / "heads" / "Training" / "glioma" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


def draw(folder: Path, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    head_slice(number).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def said() -> list[tuple[Any, ...]]:
    """What the runs logged."""
    return []


@pytest.fixture(scope="module")
def refused(train: Any, folder: Path, said: list[tuple[Any, ...]]) -> dict[str, Bundle]:
    """What the runs left, by version: two trained networks, their average, and the first one gone on with."""
    first, second = folder / "kept-1", folder / "kept-2"
    runs: dict[str, Sequence[str | Path]] = {
        "1.0.0": ("--keep", first, "--leave-one-source-out"),
        "2.0.0": ("--keep", second, "--seed", "7", "--compare", folder / "refused" / NAME / "1.0.0"),
        "3.0.0": ("--ensemble", first, second),
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(logging.getLogger("training"), "info", lambda *words: said.append(words))
        patched.setitem(train.BACKBONES, "small", seeded_backbone)
        for version, words in runs.items():
            assert run(train, folder, version, *words) == train.EXIT_REFUSED
    return {version: load_bundle(folder / "refused", NAME, version, Variant.FLOAT32) for version in runs}


def seeded_backbone(weights: Path | None = None) -> Any:
    """The same frozen part in every run, as ImageNet's is."""
    import tensorflow as tf  # noqa: PLC0415

    tf.keras.utils.set_random_seed(5)
    return small_backbone(weights)


def run(train: Any, folder: Path, version: str, *words: str | Path) -> object:
    """The command's exit status."""
    usual = f"--backbone small --epochs 2 --folds 2 --seeds 2 --batch 4 --version {version}".split()
    paths = ("--data", folder / "heads", "--mixed", folder / "web", "--out", folder)
    with pytest.raises(SystemExit) as stopped:
        train.main([*usual, *(str(word) for word in (*paths, *words))])
    return stopped.value.code


def test_training_on_noise_is_refused_with_reasons(refused: dict[str, Bundle], folder: Path) -> None:
    left = folder / "refused" / NAME / "1.0.0"
    assert "the lower end must reach 0.8" in (left / "reasons.txt").read_text()
    assert json.loads((left / "card.json").read_text())["version"] == "1.0.0"
    card = refused["1.0.0"].card
    assert {"testing", "testing_deduplicated", "testing_strict"} < set(card.metrics)
    assert card.metrics["testing"].n == HEADS / 4
    assert str(folder) not in card.training_command


def test_a_file_that_cannot_be_read_is_named_and_skipped(folder: Path, caplog: Any) -> None:
    from services.ml_worker.training.prepare import prepare  # noqa: PLC0415

    assert len(prepare([folder / "heads"]).samples) == HEADS
    assert "skipped broken.png" in caplog.text


def test_every_image_is_held_out_once_a_seed(refused: dict[str, Bundle]) -> None:
    card = refused["1.0.0"].card
    assert card.metrics["cross_validation/web"].n == 12
    assert card.metrics["cross_validation/web"].n_positive == 6
    assert card.metrics["cross_validation"].n <= 36  # Those near a test image are left out.
    repeats = card.repeats["cross_validation/web"]
    assert repeats.seeds == (0, 1)
    assert len(repeats.auc) == len(repeats.by_epoch) == 2
    assert refused["2.0.0"].card.repeats["cross_validation"].seeds == (7, 8)


def test_each_source_is_left_out_in_both_ways(
    refused: dict[str, Bundle], said: list[tuple[Any, ...]]
) -> None:
    card = refused["1.0.0"].card
    names = {name for name in card.metrics if name.startswith("leave_one_source_out/")}
    assert names == {
        f"leave_one_source_out/{source}/{form}"
        for source in ("heads", "web")
        for form in ("frozen", "fine-tuned")
    }
    assert card.metrics["leave_one_source_out/web/frozen"].n == 12
    trained, held_out = next(tuple(counts) for _, *counts in said if counts[:1] == ["web"])[1:]
    assert held_out == 12
    # Those near one of that source, as some drawn heads are, go with it.
    assert 0 < trained <= card.metrics["cross_validation"].n - 12
    assert "leave_one_source_out" not in "".join(refused["2.0.0"].card.metrics)


def test_bundles_are_compared_by_what_they_are_worth_and_cost(refused: dict[str, Bundle]) -> None:
    own, other = refused["2.0.0"].card.comparison
    first = refused["1.0.0"].card
    assert other.auc == first.metrics["cross_validation"].auc
    assert (other.epochs, other.seeds) == (2, 2)
    assert other.files[Variant.FLOAT32].bytes == len(refused["1.0.0"].content)
    assert other.refused
    assert own.auc == refused["2.0.0"].card.metrics["cross_validation"].auc


def test_the_ensemble_is_the_average_of_its_members(refused: dict[str, Bundle]) -> None:
    one, other, both = (bundle.open() for bundle in refused.values())
    assert refused["3.0.0"].card.architecture.startswith("average of 2: small")
    for number in range(4):
        image = preprocess(head_slice(number))
        first, second, average = (model.infer(image) for model in (one, other, both))
        assert np.abs(first.logits - second.logits).max() > 1e-3
        np.testing.assert_allclose(average.logits, (first.logits + second.logits) / 2, atol=1e-4)
        np.testing.assert_allclose(average.cam, (first.cam + second.cam) / 2, atol=1e-4)
        joined = np.concatenate([first.embedding, second.embedding])
        np.testing.assert_allclose(average.embedding, joined, atol=1e-4)


@pytest.mark.parametrize("variant", list(Variant))
def test_the_ensembles_map_is_exact(refused: dict[str, Bundle], folder: Path, variant: Variant) -> None:
    content = load_bundle(folder / "refused", refused["3.0.0"].card.name, "3.0.0", variant).content
    heads = np.stack([np.asarray(head_slice(number)) for number in range(5)])
    assert sanity.completeness_error(content, heads) < 1e-4


def test_shuffling_reaches_the_head_of_every_member(refused: dict[str, Bundle]) -> None:
    content = refused["3.0.0"].content
    whole, shuffled = heads_of(content), heads_of(sanity.randomised(content))
    assert len(whole) == 2
    for before, after in zip(whole, shuffled, strict=True):
        assert (before.w1 != after.w1).any()
        assert (before.w2 != after.w2).any()


def test_an_ensemble_is_judged_by_the_mean_of_each_members_best_epoch(train: Any) -> None:
    from services.ml_worker.training import ensemble  # noqa: PLC0415
    from services.ml_worker.training.crossval import HeldOut  # noqa: PLC0415

    assert train
    labels, everything = np.array([0, 1]), np.ones(2, np.bool_)
    good, bad = np.array([[2, 0], [0, 2]], np.float32), np.array([[0, 2], [2, 0]], np.float32)
    fold = np.array([0, 1])
    early, late = (
        HeldOut(np.stack([good, bad]), fold),
        HeldOut(np.stack([bad, 3 * good]), fold[::-1]),
    )
    (averaged,) = ensemble.averaged([[early], [late]], labels, everything)
    np.testing.assert_array_equal(averaged.logits, [2 * good])
    assert averaged.fold.tolist() == [0, 1]
    with pytest.raises(SetupError, match="got 1, 2"):
        ensemble.averaged([[early], [late, late]], labels, everything)


def test_training_goes_on_from_what_was_kept(
    train: Any, folder: Path, refused: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(train.BACKBONES, "small", seeded_backbone)
    assert run(train, folder, "1.0.0", "--keep", folder / "kept-1") == train.EXIT_REFUSED
    again = load_bundle(folder / "refused", NAME, "1.0.0", Variant.FLOAT32)
    image = np.full((1, 224, 224, 3), 0.5, np.float32)
    np.testing.assert_allclose(
        again.open().infer(image).logits, refused["1.0.0"].open().infer(image).logits, atol=1e-5
    )
    assert again.card.repeats == refused["1.0.0"].card.repeats


def test_figures_are_added_to_the_card_of_a_bundle(
    train: Any, folder: Path, refused: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(train.BACKBONES, "small", seeded_backbone)
    root = folder / "refused" / NAME
    words = f"--backbone small --epochs 2 --folds 2 --seeds 2 --batch 4 --seed 0 --keep {folder / 'kept-1'}"
    sources = f"--data {folder / 'heads'} --mixed {folder / 'web'} --out {folder}"
    more = f"--amend {root / '2.0.0'} --leave-one-source-out --compare {root / '3.0.0'}"
    train.main([*words.split(), *sources.split(), *more.split()])
    before, after = refused["2.0.0"].card, load_bundle(folder / "refused", NAME, "2.0.0").card
    added = set(after.metrics) - set(before.metrics)
    assert added == {
        name for name in refused["1.0.0"].card.metrics if name.startswith("leave_one_source_out/")
    }
    assert list(after.metrics)[3].startswith("leave_one_source_out/")
    *known, other, averaged = after.comparison
    assert tuple(known) == before.comparison
    assert other.auc == refused["3.0.0"].card.metrics["cross_validation"].auc
    assert averaged.architecture == f"average of 2: {before.architecture}"
    assert (averaged.n, averaged.files) == (before.comparison[0].n, {})
    assert averaged.refused == ("held-out figures alone: not exported",)
    first = refused["1.0.0"].card
    for name, got in after.repeats.items():
        old, new = before.repeats[name], first.repeats[name]
        assert (got.seeds, got.auc) == ((7, 8, 0, 1), old.auc + new.auc)
        assert got.by_epoch == pytest.approx(
            [(a + b) / 2 for a, b in zip(old.by_epoch, new.by_epoch, strict=True)], abs=1e-4
        )
    unchanged = {name: getattr(before, name) for name in ("metrics", "comparison", "repeats")}
    assert after.model_copy(update=unchanged) == before


def test_what_was_kept_of_other_images_is_refused(refused: dict[str, Bundle], folder: Path) -> None:
    from services.ml_worker.training import kept  # noqa: PLC0415

    assert refused
    with pytest.raises(SetupError, match="here are 3"):
        kept.runs(folder / "kept-1", 3)


def test_a_member_that_kept_no_network_is_refused(
    train: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train.main(["--data", "x", "--out", "y", "--ensemble", str(tmp_path)])
    assert "--ensemble: no network.npz in" in capsys.readouterr().err
