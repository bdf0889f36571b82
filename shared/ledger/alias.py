"""Other names under which a submission may be known already: how a repeated one finds the job that it made.

Each is a small key that `create` reads and writes in the same step as the job, so that of any number of equal
submissions at once exactly one makes a job.
"""

from dataclasses import dataclass
from enum import StrEnum


class AliasKind(StrEnum):
    """Where a name comes from."""

    #: The `Idempotency-Key` of one request.
    IDEMPOTENCY = "idempotency"
    #: The id that the caller chose.
    CLIENT = "client"
    #: The `Idempotency-Key` of a whole batch, and the place of each of its items.
    BATCH = "batch"
    BATCH_ITEM = "batch_item"


@dataclass(frozen=True)
class Alias:
    """A name that a caller gave a submission; it means something within a tenant alone."""

    kind: AliasKind
    text: str


@dataclass(frozen=True)
class Repeatable:
    """How a submission is told from others."""

    #: SHA-256 over what was asked for: under one alias only the same may come again.
    fingerprint: str = ""
    alias: Alias | None = None
    #: Take a job over the same image and model for this one, unless it failed.
    deduplicate: bool = False
    #: A job id found to be gone: an alias that still stands for it is free.
    gone: str = ""


@dataclass(frozen=True)
class Known:
    """The submission was there before, as this job."""

    job_id: str
    #: False: the alias stands for another submission.
    is_same: bool
