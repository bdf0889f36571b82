"""What is sent to a PACS, and how its answer is meant."""

import email

import pytest
from pydantic import ValidationError

from services.fusion.dicom.pacs import judged, related
from services.fusion.settings import FusionSettings
from services.fusion.webhooks.sender import Answer
from shared.contracts import DeliveryOutcome
from shared.dicom_results import DicomResult


def test_the_body_is_one_part_an_object() -> None:
    head = b'Content-Type: multipart/related; type="application/dicom"; boundary=b1\r\n\r\n'
    parts = email.message_from_bytes(head + related([b"one\r\n", b"\0two"], "b1")).get_payload()
    assert [part.get_content_type() for part in parts] == ["application/dicom"] * 2  # type: ignore[union-attr]
    assert [part.get_payload(decode=True) for part in parts] == [b"one\r\n", b"\0two"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (b"", DeliveryOutcome.DELIVERED),
        (b"<xml/>", DeliveryOutcome.DELIVERED),
        (b'{"00081199": {"vr": "SQ", "Value": [{}]}}', DeliveryOutcome.DELIVERED),
        (b'{"00081198": {"vr": "SQ", "Value": []}}', DeliveryOutcome.DELIVERED),
        (b'{"00081198": {"vr": "SQ", "Value": [{}]}}', DeliveryOutcome.REJECTED),
        (b'[{"00081198": {"vr": "SQ", "Value": [{}]}}]', DeliveryOutcome.REJECTED),
        (b'{"00081198": 7}', DeliveryOutcome.DELIVERED),
    ],
)
def test_an_answer_that_names_a_failure_is_no_success(said: bytes, outcome: DeliveryOutcome) -> None:
    assert judged(Answer(DeliveryOutcome.DELIVERED, 202, said=said)) == Answer(outcome, 202)


@pytest.mark.parametrize(
    "url", ["pacs", "ftp://pacs/x", "http://user:word@pacs/x", "https://", "https://pacs/x#y"]
)
def test_an_address_that_cannot_be_used_stops_the_start(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FusionSettings(pacs_url=url)
    assert "word" not in str(caught.value)


def test_the_house_s_own_pacs_may_be_inside_the_house_and_without_tls() -> None:
    assert FusionSettings(pacs_url="http://10.1.2.3:8042/dicom-web").pacs_url
    chosen = FusionSettings(pacs_objects="sr, overlay").pacs_results
    assert chosen == (DicomResult.SR, DicomResult.OVERLAY)
    for wrong in ("", "sr,pdf"):
        with pytest.raises(ValidationError):
            FusionSettings(pacs_objects=wrong)
