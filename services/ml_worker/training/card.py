"""A card for a bundle made just now: words, fitted parts and figures joined."""

from dataclasses import asdict
from datetime import UTC, datetime

from services.ml_worker.image import NETWORK_SIDE
from services.ml_worker.model import Card, InputContract, ModelFile, Variant
from services.ml_worker.training.about import About
from services.ml_worker.training.doubt import Doubt
from shared.contracts import Label

FILES = {Variant.INT8: "model.tflite", Variant.FLOAT32: "model-float32.tflite"}
HEAD = "GAP, Dense(128, relu), Dropout(0.2), Dense(2)"


def new_card(
    about: About,
    version: str,
    *,
    architecture: str,
    files: dict[Variant, ModelFile],
    doubt: Doubt,
    training_command: str,
) -> Card:
    """Without figures yet: those are computed with the card's own temperature, threshold and gate."""
    fitted = {name: getattr(doubt, name) for name in asdict(doubt)}
    return Card(
        name=about.name,
        version=version,
        created=datetime.now(UTC).replace(microsecond=0),
        files=files,
        architecture=f"{architecture}, {HEAD}",
        labels=(Label.NEGATIVE, Label.POSITIVE),
        positive_means=about.positive_means,
        finding=about.finding,
        modality=about.modality,
        body_part=about.body_part,
        input=InputContract(
            shape=(1, NETWORK_SIDE, NETWORK_SIDE, 3), colour="RGB", range=(0, 1), geometry="letter-box"
        ),
        metrics={},
        parity={},
        data=about.data,
        training_command=training_command,
        limits=about.limits,
        **fitted,
    )
