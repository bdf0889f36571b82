"""How a job stands, as a `Task`. Pure."""

from services.gateway.fhir.study import identifiers
from services.gateway.fhir.terms import JOB_SYSTEM, Resource, concept, reference, resource, when
from shared.contracts import JobView
from shared.job_state import JobState
from shared.medical_codes import IMAGING_REPORT, READ_IMAGE
from shared.names import Priority

_STATUS = {
    JobState.QUEUED: "accepted",
    JobState.RUNNING: "in-progress",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.EXPIRED: "failed",
}


def task(job: JobView, *, in_bundle: bool = False) -> Resource:
    """The job. in_bundle: beside the report, which it then points at."""
    return resource(
        job.id,
        "task",
        "Task",
        identifier=[{"system": JOB_SYSTEM, "value": job.id}],
        status=_STATUS[job.state],
        statusReason={"text": job.error.detail} if job.error else None,
        businessStatus={"text": job.state.value if job.state is JobState.EXPIRED else job.progress.step},
        intent="order",
        priority="stat" if job.priority is Priority.STAT else "routine",
        code=concept(READ_IMAGE),
        focus={"type": "ImagingStudy", "identifier": identifiers(job.image.dicom)[0]}
        if job.image.dicom
        else None,
        authoredOn=when(job.created_at),
        lastModified=when(job.ended_at or job.created_at),
        executionPeriod={"start": when(job.created_at), "end": when(job.ended_at)} if job.ended_at else None,
        output=[
            {
                "type": concept(IMAGING_REPORT),
                "valueReference": reference(job.id, "report", "DiagnosticReport"),
            }
        ]
        if in_bundle
        else None,
    )
