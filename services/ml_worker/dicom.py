"""Whether a DICOM upload is what the model reads, and what the job says that it is. Pure."""

import json

from services.ml_worker.model import Card
from shared.contracts import DicomSource
from shared.errors import ImageError
from shared.image.picture import DicomFacts

#: Of the DICOM JSON model: what later results point at.
_POINTED_AT = {"0020000D": "study_instance_uid", "00080018": "sop_instance_uid"}


def check_dicom(facts: DicomFacts, source: DicomSource | None, card: Card) -> None:
    """ImageError (`modality_mismatch`, `dicom_header_contradicts`) where it is not.

    The two readers of a header, the gateway's and pydicom, may be made to disagree; a result must not come into the
    study of another patient by that.
    """
    if facts.modality not in card.modality:
        made_for = " and ".join(card.modality)
        said = f"The image's modality is not the model's: {card.name} {card.version} reads {made_for}."
        raise ImageError(said, code="modality_mismatch")
    header = json.loads(facts.header)
    if source is None or any(
        _first(header, tag) != getattr(source, name) for tag, name in _POINTED_AT.items()
    ):
        said = "The image's header can be read in two ways: it is not clear which image it is."
        raise ImageError(said, code="dicom_header_contradicts")


def _first(header: dict[str, dict[str, list[object]]], tag: str) -> object:
    return next(iter(header.get(tag, {}).get("Value", [])), None)
