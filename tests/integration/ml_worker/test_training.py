"""The whole of `make train` on 32 drawn heads and a small network: refused, with reasons, and everything written."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from services.ml_worker.model import load_bundle
from tests.integration.ml_worker.small import small_backbone
from tests.unit.ml_worker.pictures import head_slice

HEADS = 32


@pytest.fixture(scope="module")
def train() -> Any:
    """TensorFlow takes seconds to import, so only where it is used."""
    with warnings.catch_warnings():
        # A Google client library that TensorFlow finds and imports announces the end of Python 3.11.
        warnings.simplefilter("ignore", FutureWarning)
        from services.ml_worker.training import train  # noqa: PLC0415
    return train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn heads: 24 to train on, 8 to test on, half of them in either class folder, and one broken file."""
    folder = tmp_path_factory.mktemp("heads")
    for number in range(HEADS):
        split, kind = "Testing" if number % 4 == 0 else "Training", "glioma" if number % 8 < 4 else "notumor"
        (folder / split / kind).mkdir(parents=True, exist_ok=True)
        head_slice(number).save(folder / split / kind / f"{number}.png")
    (folder / "Training" / "glioma" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


def test_training_on_noise_is_refused_with_reasons(
    train: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(train.BACKBONES, "small", small_backbone)
    words = f"--data {data} --out {tmp_path} --backbone small --epochs 1 --folds 2 --batch 4 --version 9.9.9"
    with pytest.raises(SystemExit) as stopped:
        train.main([*words.split(), "--held-out", str(tmp_path / "held-out.npz")])
    assert stopped.value.code == train.EXIT_REFUSED
    assert "skipped broken.png" in caplog.text
    refused = tmp_path / "refused"
    reasons = (refused / "brain-mri-mobilenetv2" / "9.9.9" / "reasons.txt").read_text()
    assert "the lower end must reach 0.8" in reasons
    bundle = load_bundle(refused, "brain-mri-mobilenetv2", "9.9.9")
    assert set(bundle.card.metrics) == {
        "cross_validation",
        "testing",
        "testing_deduplicated",
        "testing_strict",
    }
    assert (
        json.loads((refused / "brain-mri-mobilenetv2" / "9.9.9" / "card.json").read_text())["version"]
        == "9.9.9"
    )
    assert (tmp_path / "held-out.npz").exists()
    assert str(tmp_path) not in bundle.card.training_command
