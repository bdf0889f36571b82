"""Every name that two processes must agree on: tasks, queues, Redis keys, blob paths, job ids.

Declared once, here. Nothing else in the code spells a key, a queue or a task by hand.
"""

import hashlib
import re
import secrets
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

DEFAULT_TENANT = "default"


class Stage(StrEnum):
    """The three pieces of work a job is made of; each has a worker service and a queue of the same name."""

    #: MobileNetV2 on the CPU; the reading that a result cannot do without.
    ML = "ml"
    #: Google Gemini over the network; a result can do without it.
    GEMINI = "gemini"
    #: Joins both readings into the stored result.
    FUSION = "fusion"


class Task(StrEnum):
    """Celery task names, `mediscan.<service>.<verb>`."""

    ML_READ = "mediscan.ml.read"
    GEMINI_READ = "mediscan.gemini.read"
    FUSION_FUSE = "mediscan.fusion.fuse"


#: Which task does a stage's work.
TASK_OF_STAGE = {Stage.ML: Task.ML_READ, Stage.GEMINI: Task.GEMINI_READ, Stage.FUSION: Task.FUSION_FUSE}


class Priority(StrEnum):
    """How soon a job's turn comes."""

    #: Ahead of every routine job that has not been started.
    STAT = "stat"
    #: In order of arrival.
    ROUTINE = "routine"


#: The first digit keeps the time before the year 10,000, where dates end.
_LAST_MS = 0xDFFFFFFFFFFF
_JOB_ID = re.compile(r"job_[0-9a-d][0-9a-f]{11}[0-9a-f]{20}")
_BATCH_ID = re.compile(r"batch_[0-9a-d][0-9a-f]{31}")
#: A caller's own; never to be taken for one of ours.
CLIENT_ID_PATTERN = r"(?![jJ][oO][bB]_)[A-Za-z0-9][A-Za-z0-9._~-]{0,63}"
_CLIENT_ID = re.compile(CLIENT_ID_PATTERN)
#: Begins with a letter or digit: so no tenant is called like one of the house's own folders.
TENANT_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"
_TENANT = re.compile(TENANT_PATTERN)

#: Folder of the blob store, beside those of the tenants: one object an API key.
KEYS_FOLDER = "_keys"

#: Folder of the blob store with the jobs that have an id of the caller's choice: one object an id, by tenant.
CLIENT_IDS_FOLDER = "_clients"

#: Folder of the blob store with a folder a tenant: one object a secret that webhooks are signed with.
WEBHOOK_SECRETS_FOLDER = "_webhooks"

#: Folder of the blob store with the segments of the audit trail.
AUDIT_FOLDER = "_audit"


class JobRef(NamedTuple):
    """A job with its tenant: what a message carries, and what every key and blob path is made from."""

    tenant: str
    job_id: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.job_id}"

    @classmethod
    def parse(cls, text: str) -> "JobRef":
        """Read `tenant/job_id`; ValueError when either half is malformed."""
        tenant, _, job_id = text.partition("/")
        if not (is_tenant(tenant) and is_job_id(job_id)):
            raise ValueError("not a job reference")
        return cls(tenant, job_id)


class BatchRef(NamedTuple):
    """A batch of jobs with its tenant."""

    tenant: str
    batch_id: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.batch_id}"


def is_tenant(text: str) -> bool:
    """Whether `text` has the form of a tenant's name."""
    return _TENANT.fullmatch(text) is not None


def new_job_id() -> str:
    """`job_` + 12 hex digits of Unix milliseconds + 80 random bits: sortable by time, not guessable."""
    return f"job_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def new_batch_id() -> str:
    """As a job's, under a name of its own."""
    return f"batch_{new_job_id().removeprefix('job_')}"


def is_batch_id(text: str) -> bool:
    """Whether `text` has the form of a batch's id; says nothing about whether the batch exists."""
    return _BATCH_ID.fullmatch(text) is not None


def is_job_id(text: str) -> bool:
    """Whether `text` has the form of a job id; says nothing about whether the job exists."""
    return _JOB_ID.fullmatch(text) is not None


def is_client_id(text: str) -> bool:
    """Whether a caller may choose `text` as the id of a job."""
    return _CLIENT_ID.fullmatch(text) is not None


def job_seconds(job_id: str) -> float:
    """When a job id was made, by the gateway's clock (Unix seconds)."""
    return int(job_id[4:16], 16) / 1000


def job_hour(job_id: str) -> str:
    """The UTC hour a job id was made in, `YYYYMMDDHH`: the folder of its blobs, so old ones go together."""
    return datetime.fromtimestamp(job_seconds(job_id), tz=UTC).strftime("%Y%m%d%H")


def first_job_id(seconds: float) -> str:
    """The lowest id that a job made from then on (Unix seconds) may have: a bound in lists of ids."""
    return f"job_{round(min(max(0, seconds * 1000), _LAST_MS)):012x}{'0' * 20}"


def first_job_id_of(hour: str) -> str:
    """The lowest id that a job of this hour, `YYYYMMDDHH`, may have; ValueError for what is no hour."""
    return first_job_id(datetime.strptime(hour, "%Y%m%d%H").replace(tzinfo=UTC).timestamp())


class Blob(StrEnum):
    """The objects a job may own in the blob store."""

    #: The bytes as uploaded.
    IMAGE = "image"
    #: The pixels the ML worker decoded, re-encoded, at most 512 px a side: what pictures are drawn over.
    PREVIEW = "preview.jpg"
    #: Header of a DICOM upload in the DICOM JSON model (PS3.18, F.2), with the patient in it: without pixels, private
    #: attributes and long binary values. The ML worker's decoding process makes it.
    DICOM_HEADER = "header"
    #: SHA-256 of the id that the caller chose: leads from the job's folder to `client_id_path`.
    CLIENT = "client"
    #: The finished job as one JSON object: the result that outlives Redis.
    RECORD = "json"
    #: The log of the webhook's delivery, once that has ended.
    DELIVERY = "delivery"
    #: What a job over a DICOM image adds to its study (`shared/dicom_results.py`), with the patient in it.
    DICOM_SR = "sr.dcm"
    DICOM_OVERLAY = "overlay.dcm"
    DICOM_MAP = "map.dcm"
    #: The log of the results' way to the PACS, once that has ended.
    EXPORT = "export"


#: Beside the tenants' folders: the identity of the ledger that this blob store was filled under.
LEDGER_IDENTITY = "ledger-identity"


def blob_path(ref: JobRef, blob: Blob) -> str:
    """`tenant/hour/job.blob`: no folder a job, so a durable write costs two fsyncs and not three."""
    return f"{ref.tenant}/{job_hour(ref.job_id)}/{ref.job_id}.{blob}"


class BatchBlob(StrEnum):
    """The objects that a batch may own in the blob store, in the folder of its hour: the retention takes that whole."""

    #: Which jobs it is made of, and what was refused of it.
    ITEMS = "batch"
    #: How its jobs ended, once all have: nobody need look at each again.
    COUNTS = "counts"
    #: The zip that it came in, while that is being read.
    ARCHIVE = "archive"


def batch_path(ref: BatchRef, blob: BatchBlob) -> str:
    """`tenant/hour/batch.blob`."""
    hour = job_hour(f"job_{ref.batch_id.removeprefix('batch_')}")
    return f"{ref.tenant}/{hour}/{ref.batch_id}.{blob}"


def client_id_path(tenant: str, digest: str) -> str:
    """Which job a caller's own id means, once the ledger has forgotten it."""
    return f"{CLIENT_IDS_FOLDER}/{tenant}/{digest}"


def digest(text: str) -> str:
    """SHA-256 in hex: what stands in keys and paths for words of a caller."""
    return hashlib.sha256(text.encode()).hexdigest()


#: Field of the hash of models that is none: the one that a job without a wish is read with.
DEFAULT_MODEL = "default"

#: Field of the hash of live jobs that is no tenant: all of the house.
LIVE_IN_HOUSE = "*"


class Key:
    """Redis keys of the ledger, and of what is counted beside it."""

    #: Sorted set of job refs by the time the reaper must look at them next (Unix seconds).
    DUE = "mediscan:due"
    #: Sorted set of dead-lettered job refs by the time they were given up.
    DEAD = "mediscan:dead"
    #: Sorted set of erased job refs by the time their blobs are erased once more (Unix seconds); nothing of them shows.
    ERASED = "mediscan:erased"
    #: Made with the ledger and kept in the blob store too: an emptied ledger has none.
    IDENTITY = "mediscan:identity"
    #: Hash of counters that operators read: rescues, late readings, refusals.
    COUNTERS = "mediscan:counters"
    #: Hash `stage:priority` -> newest publication among claimed messages; older unclaimed ones were lost.
    WATERMARKS = "mediscan:watermarks"

    #: Hash `name/version` -> card (JSON) of the models that ML workers offer; field `default`: the one they prefer.
    MODELS = "mediscan:models"
    #: Sorted set of `name/version` by the time a worker last offered it (Unix seconds).
    MODELS_SEEN = "mediscan:models:seen"
    #: Hash with the state of the circuit breaker in front of Gemini; none: closed.
    GEMINI_CIRCUIT = "mediscan:circuit:gemini"
    #: Hash `slot:outcome` -> calls to Gemini of the last minute or so.
    GEMINI_CIRCUIT_WINDOW = "mediscan:circuit:gemini:window"
    #: List of audit events (JSON) that are not sealed yet, oldest first.
    AUDIT = "mediscan:audit"
    #: `segment hash`: up to where the audit trail holds everything that this ledger ever handed over.
    AUDIT_HEAD = "mediscan:audit:head"
    #: Present while a reaper is alive.
    REAPER = "mediscan:reaper"

    #: Hash tenant -> live jobs, those not in a terminal state; field `*`: of the whole house. No field is 0.
    LIVE = "mediscan:live"
    #: Hash window of time -> how many jobs ended in it, for the last minute; gone when none did.
    DRAIN = "mediscan:drain"

    #: Hash `name/version` -> how far its last readings are from its card (JSON), as the reaper last found.
    DRIFT = "mediscan:drift"

    #: Begins the names of `work`, for scripts that know stage and priority.
    WORK = "mediscan:work:"

    #: Sorted set of job refs by the time their webhook is to be sent next (Unix seconds).
    DELIVERIES = "mediscan:deliveries"

    #: Sorted set of job refs by the time their DICOM objects are to be made or sent next (Unix seconds).
    EXPORTS = "mediscan:exports"

    #: Begins the name of every channel on which changes of a job are told (publish/subscribe: nothing is kept).
    CHANGES = "mediscan:changes:"

    @staticmethod
    def changes(ref: JobRef | BatchRef) -> str:
        """Channel of one job: its state (or `erased`), after each change. Of a batch: when one of its jobs changed."""
        return f"{Key.CHANGES}{ref}"

    @staticmethod
    def job(ref: JobRef) -> str:
        """Hash with everything the ledger knows of one live job."""
        return f"mediscan:job:{ref.tenant}:{ref.job_id}"

    @staticmethod
    def alias(tenant: str, kind: str, text: str) -> str:
        """Hash with the job that a tenant's name of this kind stands for, and the fingerprint of its submission."""
        return f"mediscan:alias:{tenant}:{kind}:{digest(text)}"

    @staticmethod
    def aliases(ref: JobRef) -> str:
        """Hash whose fields are the keys of a job's aliases; lives as long as they do."""
        return f"mediscan:alias:{ref.tenant}:of:{ref.job_id}"

    @staticmethod
    def delivery(ref: JobRef) -> str:
        """Hash with the delivery of one job's webhook, until that has ended; it outlives the job's own hash."""
        return f"mediscan:delivery:{ref.tenant}:{ref.job_id}"

    @staticmethod
    def export(ref: JobRef) -> str:
        """Hash with the way of one job's DICOM objects to the PACS, until that has ended; as `delivery`."""
        return f"mediscan:export:{ref.tenant}:{ref.job_id}"

    @staticmethod
    def bucket(name: str) -> str:
        """Hash with the tokens of one token bucket; gone when it is full."""
        return f"mediscan:bucket:{name}"

    @staticmethod
    def spent(name: str) -> str:
        """How much of a daily quota is spent; gone at the end of the UTC day."""
        return f"mediscan:spent:{name}"

    @staticmethod
    def work(stage: Stage, priority: Priority) -> str:
        """Sorted set of jobs with open work: by the time it waits since, or less than 0: by that it is held since."""
        return f"{Key.WORK}{stage}:{priority}"

    @staticmethod
    def readings(model: str) -> str:
        """List of the last readings of a model, each in a few letters, the newest first."""
        return f"mediscan:readings:{model}"

    @staticmethod
    def workers(stage: Stage) -> str:
        """Sorted set of worker nodes, each with its slots behind a blank, by their last heartbeat (Unix seconds)."""
        return f"mediscan:workers:{stage}"
