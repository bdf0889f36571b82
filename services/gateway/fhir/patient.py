"""Whose image it is, as the header of a DICOM upload has it. Pure."""

from pydantic import BaseModel, Field, ValidationError


class _Text(BaseModel):
    Value: list[str | None] = []


class _Header(BaseModel):
    #: Patient ID, in the DICOM JSON model (PS3.18, annex F).
    patient_id: _Text = Field(_Text(), alias="00100020")


def patient_id(header: bytes) -> str | None:
    """The patient's record number; None where there is none, or none that can be read."""
    try:
        found = _Header.model_validate_json(header).patient_id.Value
    except ValidationError:
        return None
    return (found[0] or "").strip() or None if found else None
