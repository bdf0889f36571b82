"""The small pieces that FHIR resources are made of. Pure."""

from datetime import datetime
from typing import Any

from shared.dicom_results import resource_uuid
from shared.medical_codes import NO_UNITS, SCHEMES, Code, in_radlex

Resource = dict[str, Any]

#: Under which we name what has no name elsewhere: the system of our identifiers.
JOB_SYSTEM = f"{SCHEMES['99MEDISCAN'].uri.removesuffix('.1')}.2"
MODEL_SYSTEM = f"{SCHEMES['99MEDISCAN'].uri.removesuffix('.1')}.3"

_SECURITY = (
    (
        "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
        "AIAST",
        "Artificial Intelligence asserted",
    ),
    ("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HRESCH", "healthcare research"),
)


def coding(code: Code) -> Resource:
    """A code with the system it is of."""
    return {"system": SCHEMES[code.scheme].uri, "code": code.value, "display": code.meaning}


def concept(code: Code, text: str | None = None) -> Resource:
    """A code, and RadLex's for the same where there is one, in the words of `text` where it is given."""
    radlex = in_radlex(code)
    codes = (code, radlex) if radlex else (code,)
    return {"coding": [coding(one) for one in codes], **({"text": text} if text else {})}


def number(value: float) -> Resource:
    """A number without a unit."""
    return {"value": value, "unit": NO_UNITS.meaning, "system": SCHEMES["UCUM"].uri, "code": NO_UNITS.value}


def component(code: Code, **value: Any) -> Resource:
    """A part of an observation, such as `valueString="..."`."""
    return {"code": concept(code), **value}


def absent(reason: str) -> Resource:
    """Why there is no value (HL7's code system of such reasons)."""
    system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    return {"coding": [{"system": system, "code": reason}]}


def when(at: datetime) -> str:
    """An instant."""
    return at.isoformat(timespec="milliseconds")


def address(job_id: str, what: str) -> str:
    """Of a resource within its bundle."""
    return f"urn:uuid:{resource_uuid(job_id, what)}"


def reference(job_id: str, what: str, kind: str) -> Resource:
    """To a resource of the same bundle."""
    return {"reference": address(job_id, what), "type": kind}


def resource(job_id: str, what: str, kind: str, **fields: Any) -> Resource:
    """A resource about a job: said by a machine, for research. Fields that are None are left out."""
    security = [{"system": system, "code": code, "display": display} for system, code, display in _SECURITY]
    present = {name: value for name, value in fields.items() if value is not None}
    return {
        "resourceType": kind,
        "id": resource_uuid(job_id, what),
        "meta": {"security": security},
        **present,
    }
