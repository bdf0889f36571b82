"""What STOW-RS is answered with: which instances became jobs, and which were refused and why. Pure.

PS3.18, 10.5.3 and the DICOM JSON model of Annex F; failure reasons of PS3.4, GG.4.2.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from shared.contracts import DicomSource
from shared.errors import BadUploadError

MEDIA_TYPE = "application/dicom+json"

#: SOP classes of what is made from images and not by a scanner, what we write ourselves among it: read, each of our
#: results would come back as a job. They begin so (PS3.4, B.5): Secondary Capture, Parametric Map, Segmentation.
_DERIVED = tuple(f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("7", "30", "66"))

#: Not authorised, SOP class not supported, out of resources, not what it must be, cannot be understood.
_UNSUPPORTED, _NO_ROOM, _OTHER_STUDY, _NOT_UNDERSTOOD = 0x0122, 0xA700, 0xA900, 0xC000
_REASONS = {
    "dicom_not_an_image": _UNSUPPORTED,
    "dicom_derived": _UNSUPPORTED,
    "modality_mismatch": _UNSUPPORTED,
    "dicom_other_study": _OTHER_STUDY,
}
#: Whose elements of group 0009 these are: the stable code beside the number that DICOM has for it.
_OURS = {"00090010": {"vr": "LO", "Value": ["MEDISCAN"]}}


def check_instance(source: DicomSource | None, study: str | None) -> DicomSource:
    """The image, where it is one to read; BadUploadError where not. study: the one that all must belong to."""
    if source is None:
        raise BadUploadError("The part is no DICOM file.", code="unsupported_image", status=415)
    if any(source.sop_class_uid == kind or source.sop_class_uid.startswith(f"{kind}.") for kind in _DERIVED):
        said = "What is made from images, such as a result of ours, is not read."
        raise BadUploadError(said, code="dicom_derived", status=415)
    if study is not None and source.study_instance_uid != study:
        raise BadUploadError("The image belongs to another study.", code="dicom_other_study", status=409)
    return source


@dataclass
class Outcome:
    """What became of the instances so far."""

    accepted: list[dict[str, Any]] = field(default_factory=list)
    #: With the UIDs of those that were refused, where they have any.
    refused: list[dict[str, Any]] = field(default_factory=list)
    unnamed: list[dict[str, Any]] = field(default_factory=list)

    def accept(self, source: DicomSource, job: str) -> None:
        """It is a job, at this address."""
        uids = _uids({"sop_class_uid": source.sop_class_uid, "sop_instance_uid": source.sop_instance_uid})
        self.accepted.append(uids | {"00081190": {"vr": "UR", "Value": [job]}})

    def refuse(self, named: dict[str, str], code: str, *, no_room: bool = False) -> None:
        """It is none, for this reason."""
        reason = _NO_ROOM if no_room else _REASONS.get(code, _NOT_UNDERSTOOD)
        why = {
            "00081197": {"vr": "US", "Value": [reason]},
            **_OURS,
            "00091001": {"vr": "LO", "Value": [code]},
        }
        if len(named) == len(_UID_TAGS):
            self.refused.append(_uids(named) | why)
        else:
            self.unnamed.append(why)

    @property
    def status(self) -> int:
        """200: all are jobs; 202: some are; 409: none is."""
        if not self.accepted:
            return 409
        return 202 if self.refused or self.unnamed else 200

    def text(self) -> str:
        """As the DICOM JSON model."""
        sequences = {"00081199": self.accepted, "00081198": self.refused, "0008119A": self.unnamed}
        found = {tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}
        return json.dumps({"00081190": {"vr": "UR"}, **found})


_UID_TAGS = {"sop_class_uid": "00081150", "sop_instance_uid": "00081155"}


def _uids(named: dict[str, str]) -> dict[str, Any]:
    return {tag: {"vr": "UI", "Value": [named[name]]} for name, tag in _UID_TAGS.items()}
