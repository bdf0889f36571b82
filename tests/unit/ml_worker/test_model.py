"""A bundle is taken whole or refused with one sentence that says what is wrong with it."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.ml_worker.image import preprocess
from services.ml_worker.installed import load_installed
from services.ml_worker.model import Bundle, ModelFile, Variant, load_bundle
from services.ml_worker.reader import Reader
from services.ml_worker.settings import MlWorkerSettings
from services.ml_worker.training import tables
from services.ml_worker.training.drawn import outliers
from services.ml_worker.training.gate import reasons
from shared.contracts import AbstainReason
from shared.errors import SetupError
from tests.unit.ml_worker.cards import card
from tests.unit.ml_worker.pictures import head_slice
from tests.unit.ml_worker.shipped import NAME, shipped_bundle

CONTENT = b"not really a network"
GOOD = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one bundle that is fine but for the network in it."""
    folder = tmp_path / NAME / "9.9.9"
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(CONTENT)
    files = {Variant.INT8: ModelFile(file="model.tflite", sha256=GOOD)}
    (folder / "card.json").write_text(card(files=files).model_dump_json())
    return tmp_path


def fault(root: Path, variant: str = "int8") -> str:
    with pytest.raises(SetupError) as caught:
        load_bundle(root, NAME, "9.9.9", variant)
    return caught.value.detail.replace(str(root / NAME / "9.9.9"), "BUNDLE")


def edit(root: Path, change: Callable[[str], str]) -> None:
    file = root / NAME / "9.9.9" / "card.json"
    file.write_text(change(file.read_text()))


def test_a_sound_bundle_loads(root: Path) -> None:
    bundle = load_bundle(root, NAME, "9.9.9")
    assert (bundle.content, bundle.variant) == (CONTENT, Variant.INT8)
    assert (bundle.ref.name, bundle.ref.version, bundle.ref.sha256) == (NAME, "9.9.9", GOOD)


def test_no_folder(tmp_path: Path) -> None:
    assert fault(tmp_path) == "No model at BUNDLE: the folder is missing."


def test_no_card(root: Path) -> None:
    (root / NAME / "9.9.9" / "card.json").unlink()
    assert fault(root) == "No model at BUNDLE: card.json is missing."


def test_a_card_that_is_no_file(root: Path) -> None:
    (root / NAME / "9.9.9" / "card.json").unlink()
    (root / NAME / "9.9.9" / "card.json").mkdir()
    assert fault(root) == "No model at BUNDLE: card.json cannot be read (Is a directory)."


def test_a_card_that_is_no_json(root: Path) -> None:
    edit(root, lambda text: text[:50])
    assert fault(root).startswith("No model at BUNDLE: card.json is not valid: the file: Invalid JSON")


def test_a_card_with_an_unknown_field(root: Path) -> None:
    edit(root, lambda text: text.replace('"threshold"', '"treshold"'))
    assert fault(root) == "No model at BUNDLE: card.json is not valid: threshold: Field required."


def test_a_card_with_an_impossible_value(root: Path) -> None:
    edit(root, lambda text: text.replace('"temperature":1.0', '"temperature":0.0'))
    assert fault(root).startswith("No model at BUNDLE: card.json is not valid: temperature: ")


def test_a_card_that_points_out_of_its_folder(root: Path) -> None:
    edit(root, lambda text: text.replace("model.tflite", "../model.tflite"))
    assert fault(root).startswith("No model at BUNDLE: card.json is not valid: files.int8.file: ")


def test_a_card_of_another_model(root: Path) -> None:
    edit(root, lambda text: text.replace("9.9.9", "9.9.8"))
    assert fault(root) == f"No model at BUNDLE: card.json describes {NAME} 9.9.8."


@pytest.mark.parametrize("variant", ["float32", "int4"])
def test_a_variant_that_is_not_there(root: Path, variant: str) -> None:
    assert fault(root, variant) == f"No model at BUNDLE: card.json has no variant {variant!r}, only int8."


def test_no_model_file(root: Path) -> None:
    (root / NAME / "9.9.9" / "model.tflite").unlink()
    assert fault(root) == "No model at BUNDLE: model.tflite is missing."


def test_an_altered_model_file(root: Path) -> None:
    (root / NAME / "9.9.9" / "model.tflite").write_bytes(CONTENT + b"!")
    expected = "model.tflite is not the file that card.json describes (SHA-256 differs)"
    assert fault(root) == f"No model at BUNDLE: {expected}."


def test_a_file_that_litert_does_not_take(root: Path) -> None:
    with pytest.raises(SetupError, match=r"^Model brain-mri-mobilenetv2 9\.9\.9 \(int8\) cannot be opened: "):
        load_bundle(root, NAME, "9.9.9").open()


@pytest.fixture(scope="module", params=list(Variant))
def shipped(request: pytest.FixtureRequest) -> Bundle:
    return shipped_bundle(request.param)


def test_the_shipped_bundle_answers_in_the_promised_shapes(shipped: Bundle) -> None:
    outputs = shipped.open().infer(preprocess(head_slice(0)))
    assert (outputs.logits.shape, outputs.embedding.shape, outputs.cam.shape) == ((2,), (1280,), (7, 7))
    assert {array.dtype.name for array in (outputs.logits, outputs.embedding, outputs.cam)} == {"float32"}


def test_the_shipped_bundle_repeats_itself(shipped: Bundle) -> None:
    model, batch = shipped.open(), preprocess(head_slice(1))
    first = model.infer(batch)
    model.infer(preprocess(head_slice(2)))
    again = model.infer(batch)
    assert np.array_equal(first.logits, again.logits)
    assert np.array_equal(first.cam, again.cam)


def test_the_release_gate_has_nothing_against_the_shipped_card() -> None:
    assert reasons(shipped_bundle().card) == []


def test_the_shipped_card_says_what_it_must() -> None:
    about = shipped_bundle().card
    assert set(about.files) == set(Variant)
    assert {"cross_validation", "cross_validation/brain-mri-web", "testing_deduplicated"} <= set(
        about.metrics
    )
    assert any("source" in limit for limit in about.limits)


def test_the_model_card_page_shows_the_cards_figures() -> None:
    about = shipped_bundle().card
    page = (Path(__file__).parents[3] / "docs" / "model-card.md").read_text()
    rows = (tables.metrics, tables.parity, tables.repeats, tables.comparison)
    for row in (row for table in rows for row in table(about)):
        assert row in page


@pytest.mark.parametrize(("name", "picture"), list(outliers(3)))
def test_the_shipped_bundle_abstains_on_what_is_no_brain_mri(name: str, picture: Image.Image) -> None:
    settings = MlWorkerSettings()
    reader = Reader(load_installed(settings), settings)
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    assert (
        reader.read(buffer.getvalue(), wish=None).reading.abstain_reason is AbstainReason.OUT_OF_DISTRIBUTION
    ), name


def test_serving_code_imports_neither_tensorflow_nor_litert() -> None:
    """LiteRT only when a model is opened, in the child; TensorFlow never."""
    code = (
        "import sys, services.ml_worker.image, services.ml_worker.logic, services.ml_worker.model;"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'ai_edge_litert')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
