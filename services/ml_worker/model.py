"""A model bundle on disk, and the LiteRT interpreter that runs it: the ML worker's outside world.

A bundle is a folder `<root>/<name>/<version>/` with `card.json` and one file for each variant of the network.
`load_bundle` checks all of it and is for the parent process; `Bundle.open` builds the interpreter and is for
the child, after the fork: an interpreter may hold threads, and those do not survive a fork.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.contracts import FindingCode, Label, ModelRef, Probability
from shared.errors import SetupError

CARD = "card.json"


class Variant(StrEnum):
    """The forms in which one network is shipped."""

    #: Backbone in int8, head in float: what serves.
    INT8 = "int8"
    #: All in float: the reference that int8 is held to.
    FLOAT32 = "float32"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelFile(_Strict):
    """One variant's file, beside the card."""

    file: Annotated[str, Field(pattern=r"^[\w.-]+\.tflite$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class InputContract(_Strict):
    """What the network takes, in words that a program can check."""

    shape: tuple[Literal[1], Literal[224], Literal[224], Literal[3]]
    colour: Literal["RGB"]
    range: tuple[Literal[0], Literal[1]]
    geometry: Literal["letter-box"]


#: Lower and upper end of a 95 % interval.
Interval = tuple[Probability, Probability]


class SetMetrics(_Strict):
    """How a model did on one set of images, at the card's threshold and temperature."""

    #: Which images, which model, and what to know about them.
    split: str
    n: Annotated[int, Field(gt=0)]
    n_positive: Annotated[int, Field(ge=0)]
    #: Patients, or clusters of near-duplicates where no patient is known; the intervals resample these.
    groups: Annotated[int, Field(gt=0)]
    auc: Probability
    auc_interval: Interval
    accuracy: Probability
    sensitivity: Probability
    sensitivity_interval: Interval
    specificity: Probability
    specificity_interval: Interval
    #: At this set's prevalence; None where nothing was answered so.
    ppv: Probability | None
    npv: Probability | None
    #: Of P(positive), ten bins of equal width.
    ece: Probability
    brier: Probability
    #: Share of the images on which the reading abstains, and the accuracy on the others.
    abstained: Probability
    accuracy_kept: Probability | None
    #: False and true positive rate from the strictest threshold to the laxest, a few of them; empty on older cards.
    roc: tuple[tuple[Probability, Probability], ...] = ()
    #: For each bin of P(positive) that holds anything: the mean of what was said, the share of positives, how many.
    reliability: tuple[tuple[Probability, Probability, int], ...] = ()


class Parity(_Strict):
    """How far int8 is from float32 on one set of images."""

    n: Annotated[int, Field(gt=0)]
    max_abs_dp: Probability
    mean_abs_dp: Probability
    label_flips: Annotated[int, Field(ge=0)]
    auc_int8: Probability
    auc_float32: Probability


class Repeats(_Strict):
    """The held-out AUC on one set of images, by seed and by epoch: how much of it is chance."""

    #: Of folds and networks.
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    #: For each seed, after the epoch that was chosen for all.
    auc: tuple[Probability, ...]
    #: After each epoch, the mean over seeds.
    by_epoch: tuple[Probability, ...]


class Cost(_Strict):
    """What one variant costs."""

    bytes: Annotated[int, Field(gt=0)]
    #: Median processor time of one image, one thread.
    ms: Annotated[float, Field(gt=0)]


class Compared(_Strict):
    """A network trained for the same task, beside the others: this one, or another that was tried."""

    architecture: str
    #: Of the longest training in cross-validation, and how many seeds of it.
    epochs: Annotated[int, Field(gt=0)]
    seeds: Annotated[int, Field(gt=0)]
    #: Held out, of the images that the doubt was fitted to.
    n: Annotated[int, Field(gt=0)]
    auc: Probability
    auc_interval: Interval
    files: dict[Variant, Cost]
    #: Why the release gate does not let it through; empty where it does.
    refused: tuple[str, ...]


class DataSource(_Strict):
    """A set of images that went into the bundle or judged it."""

    name: str
    used_for: str
    licence: str


class Calibration(_Strict):
    """What temperature and bias were fitted to, and what they changed there."""

    fitted_on: str
    n: Annotated[int, Field(gt=0)]
    ece_before: Probability
    ece_after: Probability
    brier_before: Probability
    brier_after: Probability


class OperatingPoint(_Strict):
    """How the threshold was chosen."""

    chosen_on: str
    #: Least share of the positives that is to be found: a missed cancer costs more than a recall.
    target_sensitivity: Probability


class Conformal(_Strict):
    """Split-conformal label sets: a label is in the set where its probability is at least this."""

    fitted_on: str
    #: Of the images with one label, at most this share loses it from the set, if images to come are alike.
    alpha: Probability
    least_negative: Probability
    least_positive: Probability


class OodGate(_Strict):
    """When an image is not of the kind the model was trained on. The distance itself is inside the model file."""

    fitted_on: str
    #: `RawOutputs.distance` above this is out of distribution.
    distance_limit: Annotated[float, Field(gt=0)]
    #: Energy, -log(e^negative + e^positive) of the raw logits, above this is out of distribution.
    energy_limit: float
    #: Share of held-out images of the right kind that passes.
    pass_rate: Probability
    #: How well the score tells each other kind of image from the right kind.
    auroc: dict[str, Probability]


class Reference(_Strict):
    """How held-out images were read: what the readings in service are compared with (`shared/observe/drift.py`)."""

    fitted_on: str
    #: Images, each counted once.
    n: Annotated[int, Field(gt=0)]
    #: The nine values between ten parts of equal size.
    p_positive: Annotated[tuple[Probability, ...], Field(min_length=9, max_length=9)]
    ood_score: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=9, max_length=9)]


class Card(_Strict):
    """`card.json`: what a bundle is, how it was made, and how well it does."""

    name: str
    version: str
    created: datetime
    files: dict[Variant, ModelFile]
    architecture: str
    labels: tuple[Literal[Label.NEGATIVE], Literal[Label.POSITIVE]]
    positive_means: str
    #: The same as a code, for DICOM and FHIR; None where no standard has a word for it, and on older cards.
    finding: FindingCode | None = None
    #: DICOM terms: Modality, and Body Part Examined.
    modality: tuple[str, ...]
    body_part: tuple[str, ...]
    input: InputContract
    #: Positive is answered where P(positive) is at or above this.
    threshold: Probability
    #: The logits are divided by this before the softmax.
    temperature: Annotated[float, Field(gt=0)]
    #: Then this is added to Positive's: sources differ in how often a tumour is there.
    bias: float
    operating_point: OperatingPoint
    calibration: Calibration
    conformal: Conformal
    ood: OodGate
    #: None on a card from before drift was looked for.
    reference: Reference | None = None
    metrics: dict[str, SetMetrics]
    parity: dict[str, Parity]
    #: By the names of `metrics`: the cross-validated sets.
    repeats: dict[str, Repeats] = {}
    comparison: tuple[Compared, ...] = ()
    data: tuple[DataSource, ...]
    training_command: str
    limits: tuple[str, ...]


@dataclass(frozen=True)
class RawOutputs:
    """One forward pass over one image, as the network gives it."""

    #: (2,): Negative, Positive; before temperature and softmax.
    logits: NDArray[np.float32]
    #: (1280,): the global average of the last feature map.
    embedding: NDArray[np.float32]
    #: (7, 7): Grad-CAM of the Positive logit before its ReLU, row 0 at the top, in logit units.
    cam: NDArray[np.float32]
    #: From the training images, by early features: about 1 for one like them.
    distance: float


class Model:
    """A loaded network. Belongs to the process that opened it, and to one thread at a time."""

    def __init__(self, content: bytes, threads: int) -> None:
        # Here, not at the top: the parent process and the tools that read cards need no LiteRT.
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

        self._content = content  # The interpreter keeps a pointer into it.
        self._interpreter: Any = Interpreter(model_content=content, num_threads=threads)
        self._run: Any = self._interpreter.get_signature_runner()

    def infer(self, batch: NDArray[np.float32]) -> RawOutputs:
        """Read one image, [1, 224, 224, 3] in [0, 1] as `preprocess` gives it."""
        outputs = self._run(image=batch)
        return RawOutputs(
            logits=outputs["logits"][0],
            embedding=outputs["embedding"][0],
            cam=outputs["cam"][0, :, :, 1],
            distance=float(outputs["distance"][0]),
        )


@dataclass(frozen=True)
class Bundle:
    """A checked bundle: its card, and the bytes of one of its variants."""

    card: Card
    variant: Variant
    content: bytes

    @property
    def ref(self) -> ModelRef:
        """What a reading says about who made it."""
        sha256 = self.card.files[self.variant].sha256
        return ModelRef(name=self.card.name, version=self.card.version, sha256=sha256)

    def open(self, threads: int = 1) -> Model:
        """Build the interpreter; SetupError when LiteRT does not take the file."""
        try:
            return Model(self.content, threads)
        except (ValueError, RuntimeError) as error:
            raise SetupError(
                f"Model {self.card.name} {self.card.version} ({self.variant}) cannot be opened: {error}"
            ) from error


def load_bundle(root: Path, name: str, version: str, variant: str = Variant.INT8) -> Bundle:
    """Read and check a bundle; SetupError with one sentence on whatever is wrong with it."""
    folder = root / name / version
    card = _read_card(folder)
    if (card.name, card.version) != (name, version):
        raise _no_model(folder, f"{CARD} describes {card.name} {card.version}")
    if variant not in card.files:
        raise _no_model(folder, f"{CARD} has no variant {variant!r}, only {', '.join(card.files)}")
    chosen = Variant(variant)
    return Bundle(card, chosen, _read_model(folder, card.files[chosen]))


def _read_card(folder: Path) -> Card:
    try:
        return Card.model_validate_json((folder / CARD).read_bytes())
    except FileNotFoundError as error:
        raise _no_model(
            folder, f"{CARD} is missing" if folder.is_dir() else "the folder is missing"
        ) from error
    except OSError as error:
        raise _no_model(folder, f"{CARD} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise _no_model(folder, f"{CARD} is not valid: {place}: {first['msg']}") from error


def _read_model(folder: Path, file: ModelFile) -> bytes:
    try:
        content = (folder / file.file).read_bytes()
    except FileNotFoundError as error:
        raise _no_model(folder, f"{file.file} is missing") from error
    except OSError as error:
        raise _no_model(folder, f"{file.file} cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise _no_model(folder, f"{file.file} is not the file that {CARD} describes (SHA-256 differs)")
    return content


def _no_model(folder: Path, why: str) -> SetupError:
    return SetupError(f"No model at {folder}: {why}.")
