"""Valid examples of everything on the wire; a test changes only the field it is about."""

import secrets
from datetime import UTC, datetime
from typing import Any

from shared.contracts import (
    AbstainReason,
    Agreement,
    Box,
    ClusterView,
    DicomSource,
    DriftMeasure,
    FindingCode,
    FrameReading,
    FusedResult,
    GeminiReading,
    ImageFacts,
    JobError,
    Label,
    MlReading,
    ModelDrift,
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
from shared.names import DEFAULT_TENANT, JobRef, Priority, Stage, new_job_id

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
        "finding": FindingCode(value="108369006", scheme="SCT", meaning="Neoplasm"),
        "image_notes": ("16-bit rescaled to 8",),
        "timings_ms": {"fetch": 0.5, "decode": 1.5, "infer": 2.0, "preview": 1.0, "total": 5.0},
    }
    return MlReading(**{**usual, **changed})


def frame_readings() -> tuple[FrameReading, ...]:
    """Of three frames: the second is the reading above, the model declines the third."""
    return (
        FrameReading(frame=1, label=Label.NEGATIVE, p_positive=0.25, ood_score=0.4),
        FrameReading(frame=2, label=Label.POSITIVE, p_positive=0.75, ood_score=0.5),
        FrameReading(
            frame=3,
            label=Label.POSITIVE,
            p_positive=0.875,
            ood_score=1.5,
            abstain_reason=AbstainReason.OUT_OF_DISTRIBUTION,
        ),
    )


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


def drift_measure(**changed: Any) -> DriftMeasure:
    """As the card says."""
    usual = {
        "name": "positive_rate",
        "observed": 0.6,
        "expected": 0.59,
        "psi": 0.0004,
        "z": 0.2,
        "level": "none",
    }
    return DriftMeasure.model_validate({**usual, **changed})


def model_drift(**changed: Any) -> ModelDrift:
    """None to speak of."""
    usual = {"model": "m/1", "n": 500, "reference": "cross_validation", "median_ood_score": 0.8}
    return ModelDrift.model_validate({**usual, "measures": [drift_measure()], **changed})


def cluster_view(**changed: Any) -> ClusterView:
    """A house with some work in it, and nothing that needs a look."""
    queues = [
        {"stage": stage, "priority": priority, "waiting": 0, "claimed": 0}
        | {"oldest_waiting_s": None, "oldest_claimed_s": None}
        for stage in Stage
        for priority in Priority
    ]
    queues[1] |= {"waiting": 1180, "claimed": 3, "oldest_waiting_s": 138.0, "oldest_claimed_s": 0.2}
    queues[3] |= {"waiting": 410, "claimed": 4, "oldest_waiting_s": 44.0, "oldest_claimed_s": 3.0}
    none = dict.fromkeys(Stage, 0)
    usual = {
        "at": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "queues": queues,
        "workers": {stage: {"nodes": 2, "slots": 4} for stage in Stage},
        "messages": dict.fromkeys(Stage, 7),
        "reaper_alive": True,
        "live_jobs": 1600,
        "ended_last_minute": 312,
        "ended": {"completed": 12_000, "failed": 3, "cancelled": 1, "expired": 0},
        "fallbacks": {"not_configured": 120, "timeout": 3},
        **dict.fromkeys(("rescued", "republished", "late", "put_off"), none),
        **dict.fromkeys(("dead_lettered", "dead_letters", "lost", "webhooks_waiting"), 0),
        "gemini_circuit": {"state": "closed"},
        "ledger_memory": {"used_bytes": 3_100_000, "limit_bytes": 512_000_000},
        "blobs": {"state": "ok", "free_bytes": 81_000_000_000},
        "models": ({"id": "brain-mri-mobilenetv2/0.4.0", "is_default": True},),
        "drift": (model_drift(),),
    }
    return ClusterView.model_validate({**usual, **changed})
