"""`make evaluate` on the shipped bundle and a few drawn heads: a page and a JSON file with every section."""

import json
from pathlib import Path

import pytest

from services.ml_worker.settings import SHIPPED_MODELS
from services.ml_worker.training import evaluate, figures, robustness
from tests.unit.ml_worker.pictures import head_slice
from tests.unit.ml_worker.shipped import NAME, VERSION, shipped_bundle


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for number in range(6):
        kind = "glioma" if number % 2 else "notumor"
        (tmp_path / "heads" / kind).mkdir(parents=True, exist_ok=True)
        head_slice(number).save(tmp_path / "heads" / kind / f"{number}.png")
    (tmp_path / "masks").mkdir()
    head_slice(1).point([255] * 256).save(tmp_path / "masks" / "1.png")
    return tmp_path


def test_every_section_of_the_report(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: (change, strengths[:1]) for name, (change, strengths) in robustness.CHANGES.items()}
    monkeypatch.setattr(robustness, "CHANGES", few)
    drawn = figures.drawn_pixels(1)
    monkeypatch.setattr(figures, "drawn_pixels", lambda: drawn)
    heads, masks, out = data / "heads", data / "masks", data / "out"
    words = f"--model {SHIPPED_MODELS / NAME / VERSION} --data {heads} --out {out} --masks {masks} --train {heads}"
    evaluate.main([*words.split(), "--outliers", str(heads)])
    found = json.loads((out / "report.json").read_text())
    assert found["sets"]["all"]["n"] == 6
    assert set(found["outliers"]) == {"drawn", "heads"}
    assert set(found["robustness"]) == set(few)
    assert found["heatmap"]["completeness, largest error (logits)"] < 1e-4
    assert found["heatmap"]["pointing accuracy"] == 1
    assert "deduplicated" not in found["sets"]  # Every image is its own copy in --train.
    card = shipped_bundle().card
    shown = found["training"]["cross-validation"]["cross_validation"]
    assert shown["auc_interval"] == list(card.metrics["cross_validation"].auc_interval)
    page = (out / "report.html").read_text()
    assert "<td>auc</td>" in page
    assert "<td>roc</td>" not in page  # its points are in the picture and in the JSON
    assert "<h2>Leave one source out</h2>" in page
    assert page.count("<svg") == 4 * len(found["sets"]) + len(few)
    assert "data:image" not in page


def test_images_apart_from_those_trained_on_are_counted_apart(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "others"
    for number in (0, 101, 102, 103):  # The first is a copy.
        kind = "glioma" if number % 2 else "notumor"
        (other / kind).mkdir(parents=True, exist_ok=True)
        head_slice(number).save(other / kind / f"{number}.png")
    words = f"--model m --data {other} --out o --train {data / 'heads'}"
    images, trained = evaluate._read(evaluate._parse(words.split()))
    assert trained is not None
    assert (len(images.samples), len(trained.samples)) == (4, 6)
    parts = {part.name: int(part.mask.sum()) for part in evaluate._parts(images, trained)}
    assert parts["all"] == 4
    assert parts["deduplicated"] == 3
    assert parts["strict"] <= 3
