"""The gateway's decisions, pure: what a form asks for, what a poller is told, whether the house is ready."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.gateway.metadata import parse_metadata
from services.gateway.settings import GatewaySettings
from services.gateway.webhook_form import WEBHOOK_LIMITS, parse_webhook
from shared.contracts import (
    BatchState,
    BatchView,
    Circuit,
    CircuitState,
    DeliveryPage,
    FrameWish,
    ImageFacts,
    JobPage,
    JobView,
    Metadata,
    Readiness,
    Readings,
    SkippedReading,
    SkippedReason,
    WaitingReading,
)
from shared.errors import BadUploadError, ConflictError, NotFoundError
from shared.job_state import TERMINAL, JobState, StageState
from shared.ledger import Webhook
from shared.names import Priority, Stage, digest

#: How long a poller is asked to wait, in seconds.
RETRY_AFTER_S = 1

#: Most bytes of a `model` and of a `prior_job_id` part.
_NAME_BYTES = 128

#: Most bytes of a `priority` part: the longest word there is, and room for a typing error.
_PRIORITY_BYTES = 16

#: Attempts after which a webhook is not sent again on demand: its log would grow for ever.
_MOST_ATTEMPTS = 64

#: Most bytes of a `frame` part: a word, or more digits than any number of frames has.
_FRAME_BYTES = 16

_YES_OR_NO = {b"": False, b"false": False, b"true": True}
_YES_OR_NO_BYTES = 16


@dataclass(frozen=True)
class Submission:
    """A form that can be read; whether the model and the prior job it names exist is still open."""

    image: ImageFacts
    priority: Priority
    metadata: Metadata
    gemini_skipped: SkippedReading | None
    model: str | None
    prior_job_id: str | None
    #: An earlier job over the same image and model will do.
    deduplicate: bool = False
    webhook: Webhook | None = None
    #: Writing is part of the picture.
    burned_in_text: bool = False


def field_limits(settings: GatewaySettings) -> dict[str, int]:
    """The form's fields beside the image, with the most bytes each may have."""
    return {
        "priority": _PRIORITY_BYTES,
        "metadata": settings.max_metadata_bytes,
        "model": _NAME_BYTES,
        "prior_job_id": _NAME_BYTES,
        "deduplicate": _YES_OR_NO_BYTES,
        "frame": _FRAME_BYTES,
        "burned_in_text": _YES_OR_NO_BYTES,
        **WEBHOOK_LIMITS,
    }


#: What concerns one image alone, and so no batch.
NOT_SHARED = frozenset({"prior_job_id", "frame"})


def batch_fields(settings: GatewaySettings) -> dict[str, int]:
    """The fields that all images of a batch may share."""
    return {name: most for name, most in field_limits(settings).items() if name not in NOT_SHARED}


def submission(image: ImageFacts, fields: Mapping[str, bytes], settings: GatewaySettings) -> Submission:
    """What a form asks for; BadUploadError where a field is not usable."""
    wished = with_frame(image, fields.get("frame", b""), settings.max_frames)
    says_text = _yes_or_no(fields, "burned_in_text")
    return Submission(
        image=wished,
        priority=_priority(fields.get("priority", b"routine")),
        metadata=parse_metadata(fields.get("metadata", b"{}"), settings.max_metadata_keys),
        gemini_skipped=_gemini_skipped(wished, settings, says_text=says_text),
        model=_text(fields, "model"),
        prior_job_id=_text(fields, "prior_job_id"),
        deduplicate=_yes_or_no(fields, "deduplicate"),
        webhook=parse_webhook(fields, settings.webhook_destinations),
        burned_in_text=says_text,
    )


def _yes_or_no(fields: Mapping[str, bytes], name: str) -> bool:
    try:
        return _YES_OR_NO[fields.get(name, b"")]
    except KeyError as error:
        said = f"`{name}` must be `true` or `false`."
        raise BadUploadError(said, code=f"bad_{name}", status=422) from error


def _text(fields: Mapping[str, bytes], name: str) -> str | None:
    try:
        return fields.get(name, b"").decode() or None
    except UnicodeDecodeError as error:
        raise BadUploadError(f"`{name}` is not text.", code=f"bad_{name}", status=422) from error


def wanted_again(job: JobView, settings: GatewaySettings) -> Submission:
    """What a job asked for, as its caller would ask for it today."""
    return Submission(
        image=job.image,
        priority=job.priority,
        metadata=job.metadata,
        gemini_skipped=_gemini_skipped(job.image, settings, says_text=_said_text(job)),
        model=job.model,
        prior_job_id=job.prior_job_id,
    )


def _gemini_skipped(
    image: ImageFacts, settings: GatewaySettings, *, says_text: bool
) -> SkippedReading | None:
    if not settings.gemini_enabled:
        return SkippedReading(reason=SkippedReason.NOT_CONFIGURED)
    if says_text:
        return SkippedReading(reason=SkippedReason.BURNED_IN_TEXT)
    if image.dicom is not None and image.dicom.frame == "all" and image.dicom.number_of_frames > 1:
        return SkippedReading(reason=SkippedReason.ALL_FRAMES)
    return None


def _said_text(job: JobView) -> bool:
    """Whether the caller said of the job's image that writing is part of it."""
    gemini = job.readings.gemini
    return isinstance(gemini, SkippedReading) and gemini.reason is SkippedReason.BURNED_IN_TEXT


def with_frame(image: ImageFacts, wish: bytes, max_frames: int) -> ImageFacts:
    """The image with the frames that the caller wants read; BadUploadError (422) where it has no such."""
    # `middle` is the default, and the one picture of a PNG is its middle.
    if not wish or (image.dicom is None and wish == b"middle"):
        return image
    if image.dicom is None:
        said = "`frame` is for DICOM images: a PNG or a JPEG has one picture."
        raise BadUploadError(said, code="bad_frame", status=422)
    frame = _frame(wish)
    count = image.dicom.number_of_frames
    if frame == "all" and count > max_frames:
        said = f"The image has {count} frames; at most {max_frames} are read with `frame=all`."
        raise BadUploadError(said, code="too_many_frames", status=422)
    if isinstance(frame, int) and frame > count:
        raise BadUploadError(
            f"The image has {count} frame(s): none is {frame}.", code="bad_frame", status=422
        )
    return image.model_copy(update={"dicom": image.dicom.model_copy(update={"frame": frame})})


def _frame(wish: bytes) -> FrameWish:
    words: dict[bytes, FrameWish] = {b"middle": "middle", b"all": "all"}
    if wish in words:
        return words[wish]
    if wish.isdigit() and int(wish) > 0:
        return int(wish)
    raise BadUploadError("`frame` must be `middle`, `all` or a number from 1.", code="bad_frame", status=422)


def stages_to_publish(gemini_skipped: SkippedReading | None) -> tuple[Stage, ...]:
    """The readings whose workers are told of a new job."""
    return (Stage.ML,) if gemini_skipped else (Stage.ML, Stage.GEMINI)


def _priority(text: bytes) -> Priority:
    try:
        return Priority(text.decode())
    except ValueError as error:
        allowed = " or ".join(f"`{priority}`" for priority in Priority)
        raise BadUploadError(f"`priority` must be {allowed}.", code="bad_priority", status=422) from error


def etag(job: JobView) -> str:
    """Strong: equal versions of a job are equal bytes. Weak while it waits: then its place in line is in them too."""
    tag = f'"{job.id}.{job.version}"'
    return tag if job.queue is None else f"W/{tag}"


def batch_etag(batch: BatchView) -> str:
    """Of all that the batch shows."""
    return f'"{batch.id}.{digest(batch.model_dump_json())[:16]}"'


def batch_headers(batch: BatchView) -> dict[str, str]:
    """As `poll_headers`."""
    headers = {"ETag": batch_etag(batch), "Cache-Control": "no-store"}
    return headers | {"Retry-After": str(RETRY_AFTER_S)} if batch.state is BatchState.RUNNING else headers


def page_etag(page: JobPage) -> str:
    """Of a page of a list: the same jobs at the same versions."""
    parts = [etag(job) for job in page.items]
    return f'"page.{digest(" ".join([*parts, page.next_cursor or ""]))[:32]}"'


def is_unchanged(if_none_match: str | None, tag: str) -> bool:
    """Whether the caller already has what `tag` stands for (RFC 9110, 13.1.2: weak comparison)."""
    known = [item.strip().removeprefix("W/") for item in (if_none_match or "").split(",")]
    return tag.removeprefix("W/") in known or known == ["*"]


def is_news(job: JobView, if_none_match: str | None) -> bool:
    """Whether who waits for a job wants to see it: for who knows a version of it, any other; else once it is over."""
    if job.state in TERMINAL:
        return True
    return if_none_match is not None and not is_unchanged(if_none_match, etag(job))


def poll_headers(job: JobView) -> dict[str, str]:
    """What a poller needs beside the job. `Retry-After` is there until the job is over.

    Nothing is to be kept by browsers or proxies: results are about patients, and a poller keeps its ETag itself.
    """
    headers = {"ETag": etag(job), "Cache-Control": "no-store"}
    return headers if job.state in TERMINAL else headers | {"Retry-After": str(RETRY_AFTER_S)}


def unread(job: JobView) -> JobView:
    """The job as a caller sees it who may not read: nothing of what the readers said."""
    nothing = WaitingReading(state=StageState.PENDING, deliveries=0)
    return job.model_copy(update={"readings": Readings(ml=nothing, gemini=nothing), "result": None})


def check_cancelled(state: JobState) -> None:
    """After a cancel: ConflictError where the job had ended otherwise before."""
    if state is not JobState.CANCELLED:
        raise ConflictError(f"The job is already over: it is {state}.", code="already_over")


def check_batch_cancelled(state: BatchState) -> None:
    """Before a cancel: ConflictError where there is nothing left to call off, and nothing was called off."""
    if state is BatchState.COMPLETED:
        raise ConflictError("All jobs of the batch are over already.", code="already_over")


def check_retryable(state: JobState) -> None:
    """ConflictError unless the job has come to nothing."""
    if state not in TERMINAL - {JobState.COMPLETED}:
        said = f"Only a job that failed, expired or was cancelled is tried again: this one is {state}."
        raise ConflictError(said, code="not_retryable")


def check_redeliverable(page: DeliveryPage) -> None:
    """NotFoundError where nobody is told of the job, or not yet; ConflictError where that was tried often enough."""
    if not page.items:
        said = "There is no delivery: nobody is told of this job's end, or it is not over."
        raise NotFoundError(said, code="no_delivery")
    if any(len(delivery.attempts) >= _MOST_ATTEMPTS for delivery in page.items):
        said = f"It was tried {_MOST_ATTEMPTS} times: look at what the receiver answered."
        raise ConflictError(said, code="redelivered_too_often")


@dataclass(frozen=True)
class Heartbeats:
    """Who was heard of lately."""

    workers: dict[Stage, int]
    reaper: bool
    circuit: Circuit


def readiness(heard: Heartbeats | None, *, blobs_writable: bool, gemini_enabled: bool) -> Readiness:
    """Judge what the checks found. heard: None while the ledger is away; nothing is known of workers then."""
    missing = _missing(heard, blobs_writable=blobs_writable)
    degraded = _degraded(heard, gemini_enabled=gemini_enabled)
    return Readiness(
        status="unavailable" if missing else "degraded" if degraded else "ready",
        missing=tuple(missing),
        degraded=tuple(degraded),
        workers=heard.workers if heard else None,
        gemini_circuit=heard.circuit if heard and gemini_enabled else None,
    )


def _missing(heard: Heartbeats | None, *, blobs_writable: bool) -> list[str]:
    blobs = [] if blobs_writable else ["blob_store"]
    if heard is None:
        return ["ledger", *blobs]
    return blobs + [f"{stage}_worker" for stage in (Stage.ML, Stage.FUSION) if not heard.workers.get(stage)]


def _degraded(heard: Heartbeats | None, *, gemini_enabled: bool) -> list[str]:
    if heard is None:
        return []
    checks = {
        "gemini_worker": not gemini_enabled or heard.workers.get(Stage.GEMINI),
        "gemini_circuit": not gemini_enabled or heard.circuit.state is CircuitState.CLOSED,
        "reaper": heard.reaper,
    }
    return [part for part, fine in checks.items() if not fine]
