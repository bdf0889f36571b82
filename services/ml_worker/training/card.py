"""The words on the card: everything about this model that is not measured or computed."""

from datetime import UTC, datetime

from services.ml_worker.image import NETWORK_SIDE
from services.ml_worker.model import Card, DataSource, InputContract, ModelFile, Parity, SetMetrics, Variant
from shared.contracts import Label

NAME = "brain-mri-mobilenetv2"
FILES = {Variant.INT8: "model.tflite", Variant.FLOAT32: "model-float32.tflite"}

#: Neither the threshold nor the temperature is fitted to anything yet.
THRESHOLD = 0.5
TEMPERATURE = 1.0

VALIDATION_SPLIT = (
    "a tenth of Training/, at random by image: it decided when training stopped, "
    "and near-duplicates of it may have been trained on"
)
TESTING_SPLIT = "the published Testing/, which holds near-duplicates of Training/ images"
EXTERNAL_SPLIT = "slices of mixed origin, both classes from the same kind of source; not used in training"

LIMITS = (
    "A frozen-base baseline, known to have learned the source of an image as much as the lesion in it.",
    "The two classes of its training data come from different sources: that is what it can tell apart best.",
    "The figures on Testing/ say little about images from elsewhere; those on the external set say more.",
    "The probability is not calibrated and the threshold was not chosen for a stated sensitivity.",
    "It answers for any image: there is no check yet that it was given a brain MRI at all.",
    "For research and quality work. Not a diagnosis.",
)

DATA = (
    DataSource(
        name="Brain Tumor MRI Dataset (M. Nickparvar), 224 x 224 JPEG",
        used_for="training, validation, testing",
        licence="CC0-1.0",
    ),
    DataSource(
        name="Brain MRI slices from the web, tumour yes/no",
        used_for="external evaluation only",
        licence="not stated by its source",
    ),
    DataSource(
        name="ImageNet weights of keras.applications.MobileNetV2",
        used_for="frozen base",
        licence="Apache-2.0, as published with Keras",
    ),
)


def new_card(
    version: str,
    files: dict[Variant, ModelFile],
    metrics: dict[str, SetMetrics],
    parity: dict[str, Parity],
    training_command: str,
) -> Card:
    """A card for a bundle made just now."""
    return Card(
        name=NAME,
        version=version,
        created=datetime.now(UTC).replace(microsecond=0),
        files=files,
        architecture="MobileNetV2 (ImageNet, frozen), GAP, Dense(128, relu), Dropout(0.2), Dense(2)",
        labels=(Label.NEGATIVE, Label.POSITIVE),
        positive_means="any tumour visible: glioma, meningioma or pituitary tumour",
        modality=("MR",),
        body_part=("BRAIN", "HEAD"),
        input=InputContract(
            shape=(1, NETWORK_SIDE, NETWORK_SIDE, 3), colour="RGB", range=(0, 1), geometry="letter-box"
        ),
        threshold=THRESHOLD,
        temperature=TEMPERATURE,
        metrics=metrics,
        parity=parity,
        data=DATA,
        training_command=training_command,
        limits=LIMITS,
    )
