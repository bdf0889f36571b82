"""Valid examples of everything on the wire; a test changes only the field it is about."""

import secrets
from typing import Any

from shared.contracts import (
    Agreement,
    Box,
    DicomSource,
    FusedResult,
    GeminiReading,
    ImageFacts,
    JobError,
    Label,
    MlReading,
    ModelRef,
    PolicyName,
    Risk,
    RiskBand,
    SkippedReading,
    SkippedReason,
    UnavailableReading,
    UnavailableReason,
    Voice,
)
from shared.ledger import NewJob
from shared.names import DEFAULT_TENANT, JobRef, Priority, new_job_id

SHA256 = "0" * 64
PROBLEM = JobError(code="image_unreadable", detail="The image cannot be decoded.")
UNREADABLE = UnavailableReading(reason=UnavailableReason.IMAGE_UNREADABLE, detail=PROBLEM.detail)
RATE_LIMITED = UnavailableReading(reason=UnavailableReason.RATE_LIMITED, detail="Gemini is rate limited.")
SKIPPED = SkippedReading(reason=SkippedReason.NOT_CONFIGURED)


def new_ref(tenant: str = DEFAULT_TENANT) -> JobRef:
    """A reference to a job that nobody has recorded yet."""
    return JobRef(tenant, new_job_id())


def new_token() -> str:
    """A delivery of its own, as a Celery task id is."""
    return secrets.token_hex(8)


def image_facts(**changed: Any) -> ImageFacts:
    """Of a small PNG."""
    usual = {"media_type": "image/png", "sha256": SHA256, "size_bytes": 1234, "width": 64, "height": 48}
    return ImageFacts(**{**usual, **changed})


def dicom_source(**changed: Any) -> DicomSource:
    """Of one MR image."""
    usual = {
        "study_instance_uid": "2.25.101",
        "series_instance_uid": "2.25.102",
        "sop_instance_uid": "2.25.103",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "accession_number": "A-17",
        "modality": "MR",
        "body_part": "BRAIN",
    }
    return DicomSource(**{**usual, **changed})


def new_job(**changed: Any) -> NewJob:
    """Routine, both readings asked for."""
    usual = {"image": image_facts(), "priority": Priority.ROUTINE, "metadata": {}, "gemini_skipped": None}
    return NewJob(**{**usual, **changed})


def ml_reading(**changed: Any) -> MlReading:
    """Positive, committed."""
    usual = {
        "label": Label.POSITIVE,
        "p_positive": 0.75,
        "threshold": 0.5,
        "logits": (-0.5, 0.6),
        "cam": tuple(tuple(float(row * 7 + column) for column in range(7)) for row in range(7)),
        "peak_box": Box(left=55, top=41, width=9, height=7),
        "conformal_set": (Label.POSITIVE,),
        "ood_score": 0.5,
        "model": ModelRef(name="brain-mri-mobilenetv2", version="0.1.0", sha256=SHA256),
        "image_notes": ("16-bit rescaled to 8",),
        "timings_ms": {"fetch": 0.5, "decode": 1.5, "infer": 2.0, "preview": 1.0, "total": 5.0},
    }
    return MlReading(**{**usual, **changed})


def gemini_reading(**changed: Any) -> GeminiReading:
    """Positive, committed."""
    usual = {
        "label": Label.POSITIVE,
        "p_positive": 0.5,
        "findings": ("a bright ring in the left temporal lobe",),
        "key_metrics": {"lesion location": "left temporal"},
        "explanation": "A ring-enhancing lesion is visible.",
        "model": "gemini-3.8-flash",
        "prompt_version": "1",
        "client": "google-genai",
        "timings_ms": {"prepare": 3.0, "call": 900.0, "total": 903.0},
    }
    return GeminiReading(**{**usual, **changed})


def fused_result(**changed: Any) -> FusedResult:
    """Of the two readings above."""
    usual = {
        "label": Label.POSITIVE,
        "p_positive": 0.65,
        "confidence": 0.65,
        "risk": Risk(score=65, band=RiskBand.MODERATE),
        "policy": PolicyName.WEIGHTED,
        "agreement": Agreement.AGREE,
        "needs_review": False,
        "review_reasons": (),
        "fallback": None,
        "provenance": (
            Voice(
                reader="ml",
                label=Label.POSITIVE,
                p_positive=0.75,
                weight=0.6,
                source="brain-mri-mobilenetv2 0.1.0",
            ),
            Voice(
                reader="gemini",
                label=Label.POSITIVE,
                p_positive=0.5,
                weight=0.4,
                source="gemini-3.8-flash 1",
            ),
        ),
        "explanation": "Both readers see a lesion.",
    }
    return FusedResult(**{**usual, **changed})
