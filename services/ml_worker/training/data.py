"""What there is to learn from: image files with label, group, source and split, from folders or a CSV manifest.

A folder tree is read as `[split/]class/[patient/]image`; a manifest names the same in columns. Two images that
share a group (a patient) never stand on both sides of a split; where no patient is known the group is left
empty here and near-duplicates stand in for it (`groups.py`).
"""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: Class folders of the sets we train and judge on; Positive is what the model is to find.
CLASSES = {
    "notumor": 0, "no": 0, "healthy": 0, "negative": 0,
    "glioma": 1, "meningioma": 1, "pituitary": 1, "yes": 1, "sick": 1, "positive": 1,
}  # fmt: skip
#: Folder names above the class folders that say which side of a published split an image is on.
SPLITS = {"training": "train", "train": "train", "testing": "test", "test": "test", "validation": "test"}
SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class Sample:
    """One image file and what is known about it."""

    path: Path
    #: 0 Negative, 1 Positive.
    label: int
    #: Which collection it comes from.
    source: str
    #: Class folder or label as its source names it.
    kind: str
    #: `train` or `test`, where its source says so; else `train`.
    split: str = "train"
    #: The patient, or empty where nobody knows.
    group: str = ""


def read_source(path: Path) -> list[Sample]:
    """The images of one source, in a fixed order; ValueError where there are none or a label is unknown."""
    samples = _read_manifest(path) if path.suffix == ".csv" else _read_folder(path)
    if not samples:
        raise ValueError(f"{path} holds no class folder with images (known: {', '.join(CLASSES)})")
    return samples


def _read_folder(folder: Path) -> list[Sample]:
    files = (file for file in sorted(folder.rglob("*")) if file.suffix.lower() in SUFFIXES)
    placed = ((file, file.relative_to(folder).parts[:-1]) for file in files)
    return [
        _in_folder(file, parts, folder.name)
        for file, parts in placed
        if any(part in CLASSES for part in parts) and not any(part.startswith(".") for part in parts)
    ]


def _in_folder(file: Path, parts: tuple[str, ...], source: str) -> Sample:
    place = next(index for index, part in enumerate(parts) if part in CLASSES)
    kind, above, below = parts[place], parts[:place], parts[place + 1 :]
    split = next((SPLITS[part.lower()] for part in above if part.lower() in SPLITS), "train")
    group = "/".join((source, split, kind, *below)) if below else ""
    return Sample(file, CLASSES[kind], source, kind, split, group)


def _read_manifest(file: Path) -> list[Sample]:
    """Columns path (relative to the manifest) and label, and where known group, source, split."""
    with file.open(newline="") as lines:
        return [_in_manifest(row, file) for row in csv.DictReader(lines)]


def _in_manifest(row: dict[str, str], file: Path) -> Sample:
    kind = row["label"].strip().lower()
    if kind not in CLASSES | {"0": 0, "1": 1}:
        raise ValueError(f"{file}: unknown label {kind!r} of {row['path']}")
    source = row.get("source") or file.stem
    group = f"{source}/{row['group']}" if row.get("group") else ""
    split = SPLITS[(row.get("split") or "train").lower()]
    return Sample(file.parent / row["path"], CLASSES.get(kind, kind == "1"), source, kind, split, group)


def labels(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """[n], 0 or 1."""
    return np.array([sample.label for sample in samples], dtype=np.int64)


def counts(samples: Sequence[Sample]) -> str:
    """Class balance by source and split, one line each."""
    found = Counter((sample.source, sample.split, sample.kind, sample.label) for sample in samples)
    return "\n".join(
        f"  {source} {split} {kind} ({'Positive' if label else 'Negative'}): {number}"
        for (source, split, kind, label), number in sorted(found.items())
    )
