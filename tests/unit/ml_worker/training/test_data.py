"""What is read from disk: folders, manifests, broken files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.ml_worker.training.data import Sample, counts, read_source
from services.ml_worker.training.pixels import as_batch, load
from tests.unit.ml_worker.pictures import head_slice


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        head_slice(1, side=64).save(root / name)


def test_a_folder_tree_says_split_class_and_patient(tmp_path: Path) -> None:
    put(tmp_path, "train/healthy/P1/a.jpg", "Testing/glioma/b.png", "yes/c.JPEG")
    found = {sample.path.name: sample for sample in read_source(tmp_path)}
    source = tmp_path.name
    assert found["a.jpg"] == Sample(
        tmp_path / "train/healthy/P1/a.jpg", 0, source, "healthy", "train", f"{source}/train/healthy/P1"
    )
    assert (found["b.png"].label, found["b.png"].split, found["b.png"].group) == (1, "test", "")
    assert (found["c.JPEG"].label, found["c.JPEG"].split) == (1, "train")


def test_only_images_under_known_classes_are_taken(tmp_path: Path) -> None:
    put(tmp_path, "notumor/a.jpg", "other/b.jpg", "glioma/.cache/c.jpg")
    (tmp_path / "notumor" / "readme.txt").write_text("not an image")
    assert [sample.path.name for sample in read_source(tmp_path)] == ["a.jpg"]


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no class folder with images"):
        read_source(tmp_path)


def test_a_manifest_names_everything(tmp_path: Path) -> None:
    manifest = tmp_path / "cases.csv"
    manifest.write_text("path,label,group,source,split\na.png,yes,7,siteA,train\nb.png,0,,,validation\n")
    first, second = read_source(manifest)
    assert first == Sample(tmp_path / "a.png", 1, "siteA", "yes", "train", "siteA/7")
    assert second == Sample(tmp_path / "b.png", 0, "cases", "0", "test", "")


def test_a_manifest_with_an_unknown_label_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "cases.csv"
    manifest.write_text("path,label\na.png,perhaps\n")
    with pytest.raises(ValueError, match="unknown label 'perhaps'"):
        read_source(manifest)


def test_counts_name_every_class_of_every_source() -> None:
    samples = [Sample(Path(str(at)), int(at < 2), "s", "yes" if at < 2 else "no") for at in range(5)]
    assert counts(samples) == "  s train no (Negative): 3\n  s train yes (Positive): 2"


def test_broken_files_are_skipped_by_name(tmp_path: Path) -> None:
    put(tmp_path, "yes/good.png")
    (tmp_path / "yes" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    decoded = load(read_source(tmp_path))
    assert [sample.path.name for sample in decoded.samples] == ["good.png"]
    assert decoded.pixels.shape == (1, 224, 224)
    assert decoded.refused == ("broken.png: The image is damaged or incomplete.",)


def test_a_set_that_cannot_be_read_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "yes").mkdir()
    (tmp_path / "yes" / "broken.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="none of the images can be read"):
        load(read_source(tmp_path))


def test_a_bitmap_named_jpg_is_read(tmp_path: Path) -> None:
    (tmp_path / "yes").mkdir()
    Image.new("L", (8, 8), 200).save(tmp_path / "yes" / "a.jpg", "BMP")
    assert (load(read_source(tmp_path)).pixels == 200).all()


def test_a_batch_is_what_preprocess_gives() -> None:
    batch = as_batch(np.full((1, 224, 224), 255, np.uint8))
    assert batch.shape == (1, 224, 224, 3)
    assert (batch.dtype.name, float(batch.max())) == ("float32", 1.0)
