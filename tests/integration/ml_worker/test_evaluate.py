"""`make evaluate` on the shipped bundle and a few drawn heads: a page and a JSON file with every section."""

import json
from pathlib import Path

import pytest

from services.ml_worker.settings import SHIPPED_MODELS
from services.ml_worker.training import evaluate, figures, robustness
from tests.unit.ml_worker.pictures import head_slice
from tests.unit.ml_worker.shipped import NAME, VERSION


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
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 4 * len(found["sets"]) + len(few)
    assert "data:image" not in page
