"""One thing that somebody did."""

import secrets
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict


class AuditAction(StrEnum):
    """What is recorded."""

    #: A job was accepted.
    SUBMITTED = "submitted"
    #: An answer held a reading or a result.
    READ = "read"
    #: A page of a list held jobs with a reading or a result; `jobs` are these.
    LISTED = "listed"
    #: A heatmap was handed out: pixels of the image with the reading over them.
    HEATMAP = "exported_heatmap"
    #: Pixels of the image were handed out, as the preview.
    PREVIEW = "exported_preview"
    #: A finished job was handed out as a document.
    REPORT = "exported_report"
    #: A result was handed out for another system to keep: as FHIR or as DICOM.
    EXPORTED = "exported"
    #: A job was called off.
    CANCELLED = "cancelled"
    #: A job was made over the image of one that had come to nothing; `about` is that one.
    RETRIED = "retried"
    #: A receiver is to be told of a job's end once more.
    REDELIVERED = "redelivered"
    #: A job was erased: image, readings and result.
    DELETED = "deleted"
    #: By an operator: a key was made, ended, followed by another.
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    KEY_ROTATED = "key_rotated"
    #: By an operator: a secret that signs a tenant's webhooks was made, followed by another.
    WEBHOOK_SIGNING_BEGAN = "webhook_signing_began"
    WEBHOOK_SIGNING_ROTATED = "webhook_signing_rotated"
    #: So many requests without a valid key since the last such event of the same gateway.
    REFUSED_LOGINS = "refused_logins"
    #: A ledger without memory of this trail came into use: the first one, or one after a loss. What a lost one
    #: held and was not sealed is not in the trail.
    LEDGER_BEGAN = "ledger_began"


class AuditEvent(BaseModel):
    """Who did what, when; ids alone, nothing about a patient. `at` is the clock of the process that let it happen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Unique: what is sealed is told by it from what is not.
    id: str
    at: AwareDatetime
    action: AuditAction
    #: Id of the caller's API key; `open` without keys, `operator` at a command line, `house` for MediScan itself.
    key: str
    tenant: str | None = None
    job: str | None = None
    #: Where it is about several at once.
    jobs: tuple[str, ...] | None = None
    #: The API key, or the webhook secret, that was made or changed; the job that is tried again.
    about: str | None = None
    count: int | None = None

    def text(self) -> str:
        """One line of JSON."""
        return self.model_dump_json(exclude_none=True)


def event(
    action: AuditAction,
    key: str,
    *,
    tenant: str | None = None,
    job: str | None = None,
    jobs: tuple[str, ...] | None = None,
    about: str | None = None,
    count: int | None = None,
) -> AuditEvent:
    """What happens now."""
    return AuditEvent(
        id=secrets.token_hex(8),
        at=datetime.now(UTC),
        action=action,
        key=key,
        tenant=tenant,
        job=job,
        jobs=jobs,
        about=about,
        count=count,
    )
