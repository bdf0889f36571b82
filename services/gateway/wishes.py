"""What a submission may name: a model that workers offer, and an earlier job of the same tenant to compare with.

Checked before anything is stored. A job of another tenant is answered exactly like one that never existed.
"""

from services.gateway import lookup
from services.gateway.logic import Submission
from services.gateway.resources import Resources
from shared.contracts import JobView, MlReading, ModelRef, Prior
from shared.errors import BadUploadError, NotFoundError
from shared.ledger import NewJob
from shared.observe import tracing
from shared.webhooks.secrets import WebhookSecrets


def resolve(resources: Resources, tenant: str, wanted: Submission) -> NewJob:
    """The job to record; BadUploadError (422) for a model nobody offers or a prior that cannot be compared with."""
    if wanted.model is not None:
        _check_model(resources, wanted.model)
    if wanted.webhook is not None:
        _check_can_sign(resources, tenant)
    prior = _prior(resources, tenant, wanted.prior_job_id) if wanted.prior_job_id else None
    if prior and wanted.model:
        _check_same_model(prior.model, wanted.model)
    return NewJob(
        image=wanted.image,
        priority=wanted.priority,
        metadata=wanted.metadata,
        gemini_skipped=wanted.gemini_skipped,
        model=wanted.model,
        prior=prior,
        webhook=wanted.webhook,
        trace=tracing.carried(),
    )


def _check_model(resources: Resources, name: str) -> None:
    if name not in resources.ledger.models().cards:
        raise _refused(
            "unknown_model", "No ML worker offers this model; `GET /v1/models` lists what there is."
        )


def _check_can_sign(resources: Resources, tenant: str) -> None:
    if not WebhookSecrets(resources.blobs).valid(tenant):
        said = "There is no secret to sign webhooks with; the operator makes one: `mediscan webhooks secret create`."
        raise _refused("no_webhook_secret", said)


def _check_same_model(prior: ModelRef, name: str) -> None:
    if f"{prior.name}/{prior.version}" != name:
        said = "The prior job was read by another model than the one asked for: the two cannot be compared."
        raise _refused("prior_model_differs", said)


def _prior(resources: Resources, tenant: str, job_id: str) -> Prior:
    try:
        job = lookup.find(resources, lookup.reference(resources, tenant, job_id))
    except NotFoundError as error:
        raise _refused("unknown_prior", "There is no job with this `prior_job_id`.") from error
    reading = job.readings.ml
    if not isinstance(reading, MlReading) or job.ended_at is None:
        raise _refused("prior_not_read", "The prior job has no finished ML reading to compare with.")
    return _as_prior(job, reading)


def _as_prior(job: JobView, reading: MlReading) -> Prior:
    return Prior(
        job_id=job.id,
        read_at=job.ended_at or job.created_at,
        label=reading.label,
        p_positive=reading.p_positive,
        abstained=reading.abstained,
        model=reading.model,
        body_part=reading.body_part,
    )


def _refused(code: str, said: str) -> BadUploadError:
    return BadUploadError(said, code=code, status=422)
