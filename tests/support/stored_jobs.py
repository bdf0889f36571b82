"""Finished jobs as the archive step leaves them, at any time and in any number."""

import secrets
from typing import Any

from shared.blob_store import BlobStore
from shared.contracts import JobView
from shared.job_state import JobState
from shared.job_view import view
from shared.ledger.record import parse
from shared.names import DEFAULT_TENANT, Blob, JobRef, blob_path, first_job_id
from tests.support.samples import SKIPPED, fused_result, image_facts, ml_reading


def stored_job(
    blobs: BlobStore, at: float, *, tenant: str = DEFAULT_TENANT, state: str = "completed", **result: Any
) -> JobRef:
    """A job that was submitted then (Unix seconds), of which only the blob store knows any more."""
    ref = JobRef(tenant, first_job_id(at)[:16] + secrets.token_hex(10))
    job = finished(ref, at, state, **result)
    blobs.put(blob_path(ref, Blob.IMAGE), b"image", durable=False)
    blobs.put(blob_path(ref, Blob.RECORD), job.model_dump_json().encode(), durable=False)
    return ref


def finished(ref: JobRef, at: float, state: str, **result: Any) -> JobView:
    """The job as its record has it."""
    return view(parse(ref, job_fields(at, state, **result)))


def job_fields(at: float, state: str = "completed", **result: Any) -> dict[str, str]:
    """The ledger's hash of such a job."""
    fields = {
        "version": "5",
        "state": state,
        "priority": "routine",
        "created_at": str(at),
        "deadline_at": str(at + 900),
        "ended_at": str(at + 1),
        "image": image_facts().model_dump_json(),
        "metadata": "{}",
        "ml.state": "done",
        "gemini.state": "skipped",
        "fusion.state": "done",
        "ml.reading": ml_reading().model_dump_json(),
        "gemini.reading": SKIPPED.model_dump_json(),
    }
    if state == JobState.COMPLETED:
        fields["result"] = fused_result(**result).model_dump_json()
    return fields
