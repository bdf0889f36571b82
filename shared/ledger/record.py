"""Reads what the scripts stored: one flat Redis hash -> one typed job record.

A worker of a newer version may have written it, so fields that are not known here are passed over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import TypeAdapter

from shared.contracts import (
    FusedResult,
    GeminiReading,
    ImageFacts,
    JobError,
    Metadata,
    MlReading,
    Prior,
    SkippedReading,
    UnavailableReading,
)
from shared.job_state import TERMINAL, JobState, StageState
from shared.names import Blob, JobRef, Priority, Stage, blob_path

T = TypeVar("T")

_ML: TypeAdapter[MlReading | UnavailableReading] = TypeAdapter(MlReading | UnavailableReading)
_GEMINI: TypeAdapter[GeminiReading | UnavailableReading | SkippedReading] = TypeAdapter(
    GeminiReading | UnavailableReading | SkippedReading,
)
_METADATA: TypeAdapter[Metadata] = TypeAdapter(Metadata)


@dataclass(frozen=True)
class StageRecord:
    """One stage of a job. Times are Unix seconds of the ledger's clock."""

    state: StageState
    deliveries: int
    claimed_at: float | None
    settled_at: float | None


@dataclass(frozen=True)
class JobRecord:
    """Everything the ledger knows of one job. Times are Unix seconds of the ledger's clock."""

    ref: JobRef
    #: Grows by one with every change.
    version: int
    state: JobState
    priority: Priority
    created_at: float
    deadline_at: float
    ended_at: float | None
    image: ImageFacts
    metadata: Metadata
    #: `name/version` asked for; None: the ML worker's default.
    model: str | None
    #: The earlier reading to compare with, as it was at submission.
    prior: Prior | None
    stages: Mapping[Stage, StageRecord]
    ml: MlReading | UnavailableReading | None
    gemini: GeminiReading | UnavailableReading | SkippedReading | None
    result: FusedResult | None
    error: JobError | None
    #: The caller's own id of the job.
    client_id: str | None = None
    #: The job over whose image this one tries again.
    retry_of: str | None = None
    #: The batch that it was submitted with.
    batch_id: str | None = None
    #: Of the submission, where traces are taken (`traceparent`).
    trace: str | None = None
    #: Of the submission, where it came under a name of the caller's.
    fingerprint: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the job is in a terminal state."""
        return self.state in TERMINAL

    @property
    def waits(self) -> bool:
        """Whether no worker has begun its ML reading yet."""
        ml = self.stages[Stage.ML]
        return not self.is_over and ml.state is StageState.PENDING and ml.deliveries == 0

    @property
    def image_path(self) -> str:
        """Where the uploaded bytes are in the blob store."""
        return blob_path(self.ref, Blob.IMAGE)


def parse(ref: JobRef, fields: Mapping[str, str]) -> JobRecord:
    """Build the record from the hash's fields; KeyError or ValidationError if somebody else wrote there."""
    return JobRecord(
        ref=ref,
        version=int(fields["version"]),
        state=JobState(fields["state"]),
        priority=Priority(fields["priority"]),
        created_at=float(fields["created_at"]),
        deadline_at=float(fields["deadline_at"]),
        ended_at=_seconds(fields, "ended_at"),
        image=ImageFacts.tolerant(fields["image"]),
        metadata=_METADATA.validate_json(fields["metadata"]),
        model=fields.get("model"),
        prior=_optional(fields, "prior", Prior.tolerant),
        stages={stage: _stage(fields, stage) for stage in Stage},
        ml=_optional(fields, "ml.reading", lambda text: _ML.validate_json(text, extra="ignore")),
        gemini=_optional(fields, "gemini.reading", lambda text: _GEMINI.validate_json(text, extra="ignore")),
        result=_optional(fields, "result", FusedResult.tolerant),
        error=_optional(fields, "error", JobError.tolerant),
        client_id=fields.get("client_id"),
        retry_of=fields.get("retry_of"),
        batch_id=fields.get("batch"),
        trace=fields.get("trace"),
        fingerprint=fields.get("fingerprint", ""),
    )


def _stage(fields: Mapping[str, str], stage: Stage) -> StageRecord:
    return StageRecord(
        state=StageState(fields[f"{stage}.state"]),
        deliveries=int(fields.get(f"{stage}.deliveries", "0")),
        claimed_at=_seconds(fields, f"{stage}.claimed_at"),
        settled_at=_seconds(fields, f"{stage}.settled_at"),
    )


def _seconds(fields: Mapping[str, str], name: str) -> float | None:
    return _optional(fields, name, float)


def _optional(fields: Mapping[str, str], name: str, read: Callable[[str], T]) -> T | None:
    return read(fields[name]) if name in fields else None
