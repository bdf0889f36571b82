"""Which form of a result a caller gets."""

import pytest

from services.gateway.accept import chosen

JSON, FHIR, DICOM = "application/json", "application/fhir+json", "application/dicom"
OFFERED = (JSON, FHIR, DICOM)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (FHIR, FHIR),
        ("APPLICATION/FHIR+JSON", FHIR),
        (f"{FHIR}; fhirVersion=4.0", FHIR),
        (f"text/html, {DICOM};q=0.5, */*;q=0.1", DICOM),
        (f"{JSON};q=0.2, {FHIR};q=0.8", FHIR),
        (f"*/*, {JSON};q=0", FHIR),
        (f"application/*;q=0.3, {DICOM} ; q=0.4", DICOM),
        ("text/html", None),
        (f"{JSON};q=0, {FHIR};q=0.0", None),
        ("image/*", None),
        # What nobody can read is passed over, as if nothing was said.
        (";;;,,,", JSON),
    ],
)
def test_the_caller_s_wish_decides_and_ours_among_equals(accept: str, expected: str | None) -> None:
    assert chosen(accept, OFFERED) == expected
