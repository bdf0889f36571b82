"""What services say to each other and to clients: readings, the fused result, the public view of a job.

Wire format is JSON made from these models; `tests/unit/shared/test_contracts.py` keeps a snapshot of each.
All probabilities are in [0, 1], all durations in milliseconds, all times UTC.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

# Siblings by their relative names: these three files also travel inside the client (`mediscan/wire.py`).
from .job_state import JobState, StageState
from .names import Priority, Stage

DISCLAIMER = "Decision support for research and quality work. Not a diagnosis, and not for clinical use."

Probability = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0)]
Metadata = dict[str, str | int | float | bool | None]
MediaType = Literal["image/png", "image/jpeg", "application/dicom"]
#: DICOM PS3.5, 9.1; what a device in the field writes may have leading zeros in a part.
Uid = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
#: DICOM VR CS (PS3.5, 6.2).
CODE_STRING = r"^[A-Z0-9_][A-Z0-9_ ]{0,15}$"
CodeString = Annotated[str, Field(pattern=CODE_STRING)]
#: Counted from 1, as DICOM does.
FrameNumber = Annotated[int, Field(ge=1)]
#: Which frames to read: the one in the middle, every one, or that of a number.
FrameWish = Literal["middle", "all"] | FrameNumber


class Message(BaseModel):
    """Base of everything on the wire: immutable, and no field passes unnoticed."""

    # Errors that quote their input would carry metadata into logs.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    @classmethod
    def tolerant(cls, text: str | bytes) -> Self:
        """Read what a newer version of us may have written: a field that is not known here is passed over.

        ValidationError for everything else that is not as this version has it.
        """
        return cls.model_validate_json(text, extra="ignore")


class Label(StrEnum):
    """The seed's two classes, Healthy and Sick, as results name them."""

    NEGATIVE = "Negative"
    POSITIVE = "Positive"


class AbstainReason(StrEnum):
    """Why a reader declined to commit itself."""

    #: The evidence does not separate the two labels.
    INCONCLUSIVE = "inconclusive"
    #: Not the kind of image the model was trained on.
    OUT_OF_DISTRIBUTION = "out_of_distribution"


class UnavailableReason(StrEnum):
    """Why there is no reading. For Gemini each of these means an ML-only result."""

    #: No key in this worker although the gateway asked for a reading.
    NOT_CONFIGURED = "not_configured"
    #: Gemini answered 429, or our own limit of requests a minute left no time for this one.
    RATE_LIMITED = "rate_limited"
    #: Our own budget of requests a day is spent; nothing was sent.
    DAILY_BUDGET_SPENT = "daily_budget_spent"
    #: Gemini failed too often lately and is left alone; nothing was sent.
    CIRCUIT_OPEN = "circuit_open"
    #: Gemini answered 5xx.
    SERVER_ERROR = "server_error"
    #: Gemini did not answer within the budget, or the grace after the ML reading ran out meanwhile.
    TIMEOUT = "timeout"
    #: The connection was refused or cut.
    CONNECTION = "connection"
    #: The answer was not JSON, or not of the agreed schema.
    INVALID_RESPONSE = "invalid_response"
    #: The answer held no candidate, or an empty one.
    EMPTY_RESPONSE = "empty_response"
    #: Gemini declined to answer (safety, recitation, prohibited content).
    BLOCKED = "blocked"
    #: Gemini refused the key (401, 403, or 400 saying so).
    KEY_REJECTED = "key_rejected"
    #: Gemini refused the request (any other 4xx than 429): model name, base URL or request.
    REQUEST_REJECTED = "request_rejected"
    #: No worker of this kind was alive.
    NO_WORKER = "no_worker"
    #: Workers were alive but busy until the grace ran out.
    BUSY = "busy"
    #: Workers died on it as often as a job may be delivered.
    WORKER_LOST = "worker_lost"
    #: Our own code failed on it as often as a job may be delivered.
    INTERNAL_ERROR = "internal_error"
    #: The model the job asks for is not installed at the ML worker.
    MODEL_NOT_INSTALLED = "model_not_installed"
    #: The image is of a modality that the model is not made for.
    MODALITY_MISMATCH = "modality_mismatch"
    #: The image could not be prepared for sending.
    IMAGE_UNREADABLE = "image_unreadable"
    #: Writing may be part of the picture, and it may name a patient; nothing was sent.
    BURNED_IN_TEXT = "burned_in_text"


class SkippedReason(StrEnum):
    """Why a reading was not asked for in the first place."""

    #: No Gemini key configured.
    NOT_CONFIGURED = "not_configured"
    #: The caller says that writing is part of the picture.
    BURNED_IN_TEXT = "burned_in_text"
    #: All frames are to be read: there is no one picture to ask about.
    ALL_FRAMES = "all_frames"


class FindingCode(Message):
    """What a model looks for, as a code of a standard; the sizes are DICOM's (PS3.5, 6.2: SH, LO)."""

    value: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,16}$")]
    #: Coding Scheme Designator: those that `SCHEMES` (shared/medical_codes.py) knows findings of.
    scheme: Literal["SCT", "DCM"]
    meaning: Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,62}[!-~])?$")]


class ModelRef(Message):
    """Exactly which weights said something."""

    name: str
    version: str
    #: Of the model file, as stated by its card and checked when it was loaded.
    sha256: str


class Box(Message):
    """A rectangle in the image as a viewer shows it, in px."""

    left: Annotated[int, Field(ge=0)]
    top: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]


class FrameReading(Message):
    """What the ML model says about one of the frames that it was asked to read all of."""

    #: From 1, as DICOM counts.
    frame: FrameNumber
    label: Label
    p_positive: Probability
    ood_score: Annotated[float, Field(ge=0)]
    abstain_reason: AbstainReason | None = None


class MlReading(Message):
    """The ML worker's reading of one image."""

    state: Literal[StageState.DONE] = StageState.DONE
    label: Label
    p_positive: Probability
    #: `label` is Positive where `p_positive` is at or above this.
    threshold: Probability
    #: Negative, Positive; before the softmax.
    logits: tuple[float, float]
    #: Grad-CAM of the Positive logit: 7 rows of 7, not negative, row 0 at the top, in logit units.
    cam: tuple[tuple[float, ...], ...]
    #: Where `cam` is strongest; None where nothing speaks for Positive.
    peak_box: Box | None
    #: The labels that cannot be ruled out at the model's stated error rate.
    conformal_set: tuple[Label, ...]
    #: How far this is from the kind of image the model was trained on; above 1 the reading abstains.
    ood_score: Annotated[float, Field(ge=0)]
    abstain_reason: AbstainReason | None = None
    model: ModelRef
    #: What Positive means; None where the model's card has no code for it, and in readings from before cards had one.
    finding: FindingCode | None = None
    #: DICOM Body Part Examined that the model is made for.
    body_part: tuple[str, ...] = ()
    #: How many views of the image were averaged; more than 1 only with test-time views switched on.
    views: Annotated[int, Field(ge=1)] = 1
    #: What was done to the pixels beyond the plain path, for example `16-bit rescaled to 8`.
    image_notes: tuple[str, ...] = ()
    #: Which frame of several all of this is about; None where the image has only one.
    frame: FrameNumber | None = None
    #: Every frame, where all were to be read; the reading is that of `frame` (docs/dicom.md says how it is chosen).
    frames: tuple[FrameReading, ...] = ()
    #: `fetch`, `decode`, `infer`, `preview`, `total`.
    timings_ms: dict[str, Milliseconds]

    @property
    def abstained(self) -> bool:
        """Whether the reader declined to commit itself to `label`."""
        return self.abstain_reason is not None


class GeminiReading(Message):
    """Gemini's reading of the same image; its text is untrusted and shown as text only."""

    state: Literal[StageState.DONE] = StageState.DONE
    #: None when Gemini declined to choose.
    label: Label | None
    p_positive: Probability
    findings: tuple[str, ...]
    #: Name -> value as Gemini wrote it, for example `lesion location` -> `left temporal`.
    key_metrics: dict[str, str]
    explanation: str
    model: str
    prompt_version: str
    client: Literal["google-genai", "google-generativeai"]
    #: `prepare`, `call`, `total`.
    timings_ms: dict[str, Milliseconds]


class WaitingReading(Message):
    """A reading that is still to come."""

    state: Literal[StageState.PENDING, StageState.CLAIMED]
    #: How many times a worker has taken it up.
    deliveries: int = 0


class UnavailableReading(Message):
    """A reading that was asked for and will not come."""

    state: Literal[StageState.UNAVAILABLE] = StageState.UNAVAILABLE
    reason: UnavailableReason
    #: One sentence for a person.
    detail: str = ""


class SkippedReading(Message):
    """A reading that was not asked for."""

    state: Literal[StageState.SKIPPED] = StageState.SKIPPED
    reason: SkippedReason


class PolicyName(StrEnum):
    """How two readings become one number."""

    #: Weighted average of both P(positive).
    WEIGHTED = "weighted"
    #: The reader that is further from its own doubt decides.
    HIGHEST_CONFIDENCE = "highest_confidence"


class Agreement(StrEnum):
    """Whether the readers say the same."""

    #: Both committed themselves to the same label.
    AGREE = "agree"
    #: Both committed themselves, to different labels.
    DISAGREE = "disagree"
    #: One reader only.
    SINGLE_READER = "single_reader"
    #: Both read, at least one declined to commit itself.
    UNDECIDED = "undecided"


class RiskBand(StrEnum):
    """The three coloured parts of the gauge."""

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"


class Risk(Message):
    """The gauge: P(positive) of the fused result on a 0-100 scale."""

    score: Annotated[int, Field(ge=0, le=100)]
    band: RiskBand
    #: Scores at which the bands begin, as the house had set them.
    moderate_from: Annotated[int, Field(ge=0, le=100)] = 30
    high_from: Annotated[int, Field(ge=0, le=100)] = 70
    #: P(positive) at which the fused reading turns Positive; None in results from before it was told.
    threshold: Probability | None = None


class ReviewReason(StrEnum):
    """Why a person should look before anything else happens."""

    READERS_DISAGREE = "readers_disagree"
    ML_ABSTAINED = "ml_abstained"
    GEMINI_UNDECIDED = "gemini_undecided"
    #: The fused probability is too close to the threshold.
    NEAR_THRESHOLD = "near_threshold"


class Fallback(Message):
    """Why the result rests on the ML reading alone."""

    reason: UnavailableReason | SkippedReason
    detail: str


class Voice(Message):
    """What one reader said, in the terms of the result."""

    reader: Literal["ml", "gemini"]
    #: None where the reader declined to choose.
    label: Label | None
    p_positive: Probability
    weight: Probability
    #: `brain-mri-mobilenetv2 0.1.0`, or Gemini's model name and the prompt version.
    source: str


class Prior(Message):
    """An earlier ML reading of the same tenant, as it was when the new job was submitted."""

    job_id: str
    read_at: datetime
    label: Label
    p_positive: Probability
    abstained: bool
    model: ModelRef
    body_part: tuple[str, ...]


class Direction(StrEnum):
    """How P(positive) moved from the prior reading to this one."""

    RISE = "rise"
    FALL = "fall"
    #: Within the margin.
    STABLE = "stable"


class Change(Message):
    """The ML reading against a prior one by the same model."""

    state: Literal["compared"] = "compared"
    prior_job_id: str
    prior_read_at: datetime
    prior_label: Label
    prior_p_positive: Probability
    #: This P(positive) less the prior one.
    delta_p_positive: Annotated[float, Field(ge=-1, le=1)]
    direction: Direction


class IncomparableReason(StrEnum):
    """Why a prior reading says nothing about this one."""

    DIFFERENT_MODEL = "different_model"
    DIFFERENT_BODY_PART = "different_body_part"
    #: At least one of the two readings declined to commit itself.
    ABSTAINED = "abstained"


class ChangeRefused(Message):
    """A prior reading was named, and cannot be compared."""

    state: Literal["refused"] = "refused"
    prior_job_id: str
    reason: IncomparableReason


class FusedResult(Message):
    """The one explained result of a job."""

    #: None when no reader could commit itself.
    label: Label | None
    p_positive: Probability
    #: Probability of `label` under the fused reading; of the likelier label where `label` is None.
    confidence: Probability
    risk: Risk
    policy: PolicyName
    agreement: Agreement
    needs_review: bool
    review_reasons: tuple[ReviewReason, ...]
    #: None when both readers took part.
    fallback: Fallback | None
    #: None where no prior job was named.
    change: Annotated[Change | ChangeRefused, Field(discriminator="state")] | None = None
    #: Who said what, and how much it counted; the ML reader first.
    provenance: tuple[Voice, ...]
    #: Two or three sentences for a person.
    explanation: str
    disclaimer: str = DISCLAIMER


class DicomSource(Message):
    """Where a DICOM upload belongs, in the words of its header: identifiers, and nothing of the patient's own.

    All that it says besides is in `Blob.DICOM_HEADER`.
    """

    study_instance_uid: Uid
    series_instance_uid: Uid
    sop_instance_uid: Uid
    sop_class_uid: Uid
    transfer_syntax_uid: Uid
    #: None where it has none, or none of printable ASCII.
    accession_number: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    #: Modality (0008,0060), such as `MR`.
    modality: CodeString
    #: Body Part Examined (0018,0015), where it says so.
    body_part: CodeString | None = None
    number_of_frames: FrameNumber = 1
    #: Which of them the caller wants read.
    frame: FrameWish = "middle"
    #: What is stored is a de-identified copy (DICOM PS3.15, Basic Profile), and these identifiers are the copy's.
    deidentified: bool = False


class ImageFacts(Message):
    """The upload as received."""

    media_type: MediaType
    sha256: str
    size_bytes: int
    width: int
    height: int
    #: Of `application/dicom` and of nothing else.
    dicom: DicomSource | None = None


class JobError(Message):
    """Why a job ended without a result."""

    code: str
    detail: str


class Readings(Message):
    """Both readings, as far as they have come."""

    ml: Annotated[MlReading | UnavailableReading | WaitingReading, Field(discriminator="state")]
    gemini: Annotated[
        GeminiReading | UnavailableReading | SkippedReading | WaitingReading,
        Field(discriminator="state"),
    ]


class Progress(Message):
    """How far a job has come, for a progress bar."""

    #: 0 at submission, 1 in a terminal state.
    fraction: Probability
    #: One phrase for a person.
    step: str


class Timings(Message):
    """Durations of the job's path so far; None for what has not happened."""

    #: Submission to the first claim of the ML reading.
    queued_ms: Milliseconds | None = None
    #: Submission to the settled ML reading.
    ml_ms: Milliseconds | None = None
    #: Submission to the settled Gemini reading.
    gemini_ms: Milliseconds | None = None
    #: Submission to the first claim of the Gemini reading.
    gemini_started_ms: Milliseconds | None = None
    #: Submission to the first claim of the fusion.
    fusion_started_ms: Milliseconds | None = None
    #: Submission to the terminal state.
    total_ms: Milliseconds | None = None


class Links(Message):
    """Where to go from here; paths on this server."""

    self: str
    heatmap: str
    cancel: str


class QueuePosition(Message):
    """Where a job stands in the line for its ML reading: an estimate, since what comes later as `stat` goes ahead."""

    #: From 1: so many jobs, this one with them, are to be taken up until it is.
    position: Annotated[int, Field(ge=1)]
    #: Seconds until it is taken up, at the pace of the last minute; None where no job ended in that.
    estimated_wait_s: Annotated[float, Field(ge=0)] | None


class JobView(Message):
    """A job as its owner sees it."""

    id: str
    #: The id that the caller chose (`PUT /v1/jobs/{client_id}`); every address takes either.
    client_id: str | None = None
    #: The job over whose image this one tries again.
    retry_of: str | None = None
    #: The batch that it was submitted with.
    batch_id: str | None = None
    #: Grows by one with every change; the ETag is made from it.
    version: int
    state: JobState
    priority: Priority
    created_at: datetime
    deadline_at: datetime
    ended_at: datetime | None
    image: ImageFacts
    metadata: Metadata
    #: `name/version` of the model that was asked for; None: the default of the ML workers.
    model: str | None = None
    prior_job_id: str | None = None
    progress: Progress
    #: While no worker has begun the ML reading; not in lists, and not in the answer to a submission.
    queue: QueuePosition | None = None
    readings: Readings
    result: FusedResult | None
    error: JobError | None
    timings: Timings
    links: Links
    disclaimer: str = DISCLAIMER


class JobPage(Message):
    """Some of the caller's jobs, newest first."""

    items: tuple[JobView, ...]
    #: Give it as `cursor` for the next page; None: this was the last.
    next_cursor: str | None


class DeadLetter(Message):
    """A job that was given up, for the operator of its tenant."""

    job_id: str
    died_at: datetime
    error: JobError


class DeadLetterPage(Message):
    """Some of the dead letters, newest first."""

    items: tuple[DeadLetter, ...]
    #: Give it as `cursor` for the next page; None: this was the last.
    next_cursor: str | None


class Problem(BaseModel):
    """RFC 9457 problem details, with a stable `code` for programs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str | None = None


class WebhookEvent(StrEnum):
    """What a webhook tells: how a job ended."""

    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"
    EXPIRED = "job.expired"


class DeliveryTarget(StrEnum):
    """Who is told of a job's end."""

    #: The caller's receiver, by a webhook.
    WEBHOOK = "webhook"
    #: The house's PACS, by the DICOM objects with the result.
    PACS = "pacs"


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    #: To be sent, or sent again.
    PENDING = "pending"
    #: The receiver answered 2xx.
    DELIVERED = "delivered"
    #: Given up: the receiver answered 410, or nothing good often enough.
    FAILED = "failed"


class DeliveryOutcome(StrEnum):
    """What became of one attempt to deliver something."""

    #: The receiver answered 2xx.
    DELIVERED = "delivered"
    #: The receiver answered 410: it wants no more.
    GONE = "gone"
    #: The receiver answered 3xx, which is not followed.
    REDIRECTED = "redirected"
    #: The receiver answered anything else.
    REJECTED = "rejected"
    #: The receiver did not answer in time.
    TIMEOUT = "timeout"
    #: The connection was refused or cut, or its TLS is not to be trusted.
    CONNECTION = "connection"
    #: The host's name has no address.
    UNRESOLVED = "unresolved"
    #: The host's address is none that we send to; nothing was sent.
    ADDRESS_REFUSED = "address_refused"
    #: The tenant has no secret to sign with any more; nothing was sent.
    UNSIGNED = "unsigned"
    #: The DICOM objects could not be made from what is kept of the image; nothing was sent.
    UNMADE = "unmade"


class DeliveryAttempt(Message):
    """One attempt to deliver something; nothing of what the receiver answered but its status."""

    at: datetime
    outcome: DeliveryOutcome
    #: HTTP status of the answer; None without one.
    status: int | None
    duration_ms: Milliseconds


class Delivery(Message):
    """The delivery of a job's webhook, or of its DICOM objects, with every attempt."""

    #: The same in all attempts; of a webhook the header `webhook-id`.
    id: str
    target: DeliveryTarget = DeliveryTarget.WEBHOOK
    event: WebhookEvent
    state: DeliveryState
    attempts: tuple[DeliveryAttempt, ...]
    #: None once it has ended.
    next_attempt_at: datetime | None


class DeliveryPage(Message):
    """The deliveries of a job: none where nobody is to be told, or before the job is over."""

    items: tuple[Delivery, ...]


class BatchState(StrEnum):
    """Where a batch stands."""

    #: At least one of its jobs is not over.
    RUNNING = "running"
    #: All of its jobs are over, however each of them ended.
    COMPLETED = "completed"
    #: The caller called it off.
    CANCELLED = "cancelled"


class BatchCounts(Message):
    """How many of a batch's items stand where; `submitted` is the sum of all the others."""

    submitted: Annotated[int, Field(ge=0)]
    #: Never became a job.
    refused: Annotated[int, Field(ge=0)]
    queued: Annotated[int, Field(ge=0)]
    running: Annotated[int, Field(ge=0)]
    completed: Annotated[int, Field(ge=0)]
    failed: Annotated[int, Field(ge=0)]
    cancelled: Annotated[int, Field(ge=0)]
    expired: Annotated[int, Field(ge=0)]
    #: Erased by the caller since.
    erased: Annotated[int, Field(ge=0)] = 0


class RefusedItem(Message):
    """An item of a batch that never became a job. Its file's name is not kept: it may point at a patient."""

    #: Its place in the batch, from 0; in a zip, that among the files of its directory.
    index: Annotated[int, Field(ge=0)]
    problem: Problem


class BatchLinks(Message):
    """Where to go from here; paths on this server."""

    self: str
    items: str
    results: str
    cancel: str


class BatchView(Message):
    """Many images submitted in one request, as their owner sees them."""

    id: str
    state: BatchState
    counts: BatchCounts
    #: The part of the items that is over or refused.
    progress: Probability
    refused: tuple[RefusedItem, ...]
    links: BatchLinks


class ModelEntry(Message):
    """One installed model."""

    #: `name/version`: what a submission gives as `model`.
    id: str
    is_default: bool
    #: As the bundle states it: intended use, data, metrics, threshold, checksums, limits.
    card: dict[str, Any]


class ModelList(Message):
    """All models that ML workers offered within the last day."""

    models: tuple[ModelEntry, ...]


class CircuitState(StrEnum):
    """Whether Gemini is asked; steps between these are in `shared/circuit_state.py`."""

    #: Every reading asks; outcomes are counted.
    CLOSED = "closed"
    #: No reading asks until the pause is over.
    OPEN = "open"
    #: One reading asks on behalf of all; its outcome decides.
    HALF_OPEN = "half_open"


class Circuit(Message):
    """The circuit breaker in front of Gemini as an operator sees it."""

    state: CircuitState
    #: The failure that opened it, in the words of a reading's `reason`; None while closed.
    cause: str | None = None
    #: Seconds until the next probe may go out; 0 while closed, and when only a job to probe with is missing.
    retry_in_s: Annotated[float, Field(ge=0)] = 0


class ReadyStatus(Message):
    """Whether work that is submitted now will be done: all that a stranger is told."""

    status: Literal["ready", "degraded", "unavailable"]


class Readiness(ReadyStatus):
    """The same with the reasons, for a caller with the scope `admin`."""

    #: Parts without which no job can end well; any of them makes the gateway unready.
    missing: tuple[str, ...]
    #: Parts whose absence or failure costs second readings (Gemini) or rescues (the reaper), not every result.
    degraded: tuple[str, ...]
    #: Worker nodes heard of lately, by stage; None while the ledger is away.
    workers: dict[Stage, int] | None
    #: Whether Gemini is asked, or left alone after failures; None where it is switched off or the ledger is away.
    gemini_circuit: Circuit | None = None


class QueueView(Message):
    """The open work of one stage and priority."""

    stage: Stage
    priority: Priority
    #: Jobs that wait for a worker of this stage.
    waiting: Annotated[int, Field(ge=0)]
    #: Jobs that a worker holds under a lease.
    claimed: Annotated[int, Field(ge=0)]
    #: How long the first in line waits for this stage; None where nobody does.
    oldest_waiting_s: Annotated[float, Field(ge=0)] | None
    #: How long the longest held one is held; None where none is.
    oldest_claimed_s: Annotated[float, Field(ge=0)] | None


class WorkersView(Message):
    """The workers of one stage that were heard of lately."""

    nodes: Annotated[int, Field(ge=0)]
    #: How many jobs all of them read at once.
    slots: Annotated[int, Field(ge=0)]


class MemoryView(Message):
    """The memory of the ledger's server."""

    used_bytes: Annotated[int, Field(ge=0)]
    #: None: the server has no limit.
    limit_bytes: int | None


class BlobsView(Message):
    """The blob store."""

    state: Literal["ok", "away"]
    #: None where there is no such limit (S3), or it is away.
    free_bytes: int | None


class OfferedModel(Message):
    """A model that ML workers offered within the last day."""

    id: str
    is_default: bool


class DriftLevel(StrEnum):
    """How far what a model reads lately is from what its card was made with."""

    #: Fewer readings than it takes to tell, or the card says nothing to compare with.
    UNKNOWN = "unknown"
    NONE = "none"
    #: PSI of 0.1 or more, and not by chance.
    MODERATE = "moderate"
    #: PSI of 0.25 or more, and not by chance.
    STRONG = "strong"


class DriftMeasure(Message):
    """The last readings against the card in one respect."""

    #: The last two only where the card holds the distribution.
    name: Literal["positive_rate", "ood_rate", "abstention_rate", "p_positive", "ood_score"]
    #: A share, or the middle of a distribution; None without a reading.
    observed: Annotated[float, Field(ge=0)] | None
    #: None where the card does not say.
    expected: Annotated[float, Field(ge=0)] | None
    #: Population stability index, over two bins of a share or ten of a distribution; None where either is unknown.
    psi: Annotated[float, Field(ge=0)] | None
    #: Difference of two shares in standard errors; None for a distribution.
    z: float | None
    level: DriftLevel


class ModelDrift(Message):
    """The last readings of one model against its card; formulas in docs/operate.md."""

    model: str
    #: Readings that were looked at: the last ones, up to a bound.
    n: Annotated[int, Field(ge=0)]
    #: The set of images on the card that is compared with.
    reference: str | None
    measures: tuple[DriftMeasure, ...]
    #: Middle one of the last readings; above 1 a reading abstains.
    median_ood_score: Annotated[float, Field(ge=0)] | None


class ClusterView(Message):
    """The whole house at one moment, for its operators. Counts are since the ledger was made."""

    at: datetime
    #: Every stage and priority.
    queues: tuple[QueueView, ...]
    workers: dict[Stage, WorkersView]
    #: Messages in the broker, by stage: hints, of which a job may have several or none; None while it is away.
    messages: dict[Stage, int] | None
    reaper_alive: bool
    #: Jobs that are not over.
    live_jobs: Annotated[int, Field(ge=0)]
    #: Jobs that ended within the last minute.
    ended_last_minute: Annotated[int, Field(ge=0)]
    #: Jobs by how they ended.
    ended: dict[JobState, int]
    #: Results that rest on the ML reading alone, by reason.
    fallbacks: dict[str, int]
    #: Stages taken from a worker that died or hung.
    rescued: dict[Stage, int]
    #: Messages published again because they were lost.
    republished: dict[Stage, int]
    #: Readings and results that came too late to matter.
    late: dict[Stage, int]
    #: Stages given back without blame, while the blob store was away.
    put_off: dict[Stage, int]
    #: Jobs that were given up, and those of them that nobody has taken care of.
    dead_lettered: Annotated[int, Field(ge=0)]
    dead_letters: Annotated[int, Field(ge=0)]
    #: Jobs that went with a lost ledger.
    lost: Annotated[int, Field(ge=0)]
    webhooks_waiting: Annotated[int, Field(ge=0)]
    #: Whether Gemini is asked, or left alone after failures and for how long.
    gemini_circuit: Circuit
    ledger_memory: MemoryView
    blobs: BlobsView
    models: tuple[OfferedModel, ...]
    #: Of each model with readings; looked at now and then by the reaper.
    drift: tuple[ModelDrift, ...] = ()
