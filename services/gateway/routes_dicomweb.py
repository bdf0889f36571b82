"""`/dicomweb/studies`: a PACS or a modality gateway stores images here (STOW-RS), and each is a job."""

import json
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from services.gateway import resources
from services.gateway.admission import admit
from services.gateway.body import BodyReader, check_declared
from services.gateway.caller import Caller, Submitter
from services.gateway.dicom_header import named
from services.gateway.instances import Instance, Instances
from services.gateway.intake import take_in
from services.gateway.multipart import RelatedDecoder, related_boundary
from services.gateway.openapi import PROBLEM_RESPONSES, STOW_ANSWERS, STOW_BODY
from services.gateway.repeats import client_alias
from services.gateway.resources import Resources
from services.gateway.stow import MEDIA_TYPE, Outcome, check_instance
from services.gateway.upload import ImageUpload
from shared.contracts import DicomSource
from shared.errors import BadUploadError, MediScanError
from shared.names import JobRef, new_job_id

router = APIRouter(
    prefix="/dicomweb/studies",
    tags=["dicomweb"],
    responses=PROBLEM_RESPONSES,
    default_response_class=Response,
)

Study = Annotated[str, Path(description="The study that all instances belong to.")]


@router.post("", openapi_extra=STOW_BODY, responses=STOW_ANSWERS)
async def store(request: Request, who: Submitter) -> Response:
    """Store instances: each image is a job, whose address is its `RetrieveURL` and whose own id is its SOP instance.

    An instance that is stored again is the same job. What is not read is refused by name in `FailedSOPSequence`.
    """
    return await _store(request, who, None)


@router.post("/{study}", openapi_extra=STOW_BODY, responses=STOW_ANSWERS)
async def store_in_study(request: Request, who: Submitter, study: Study) -> Response:
    """Store instances of one study."""
    return await _store(request, who, study)


async def _store(request: Request, who: Caller, study: str | None) -> Response:
    held = resources.of(request)
    instances = _open(request, held)
    outcome, no_room = Outcome(), None
    with held.uploads.one():
        while (part := await instances.next()) is not None:
            try:
                source, job = await _take(held, who, part, study)
            except MediScanError as error:
                if instances.is_broken:
                    raise
                no_room = error if error.retryable else no_room
                outcome.refuse(named(part.first), error.code, no_room=error.retryable)
                await part.skip()
            else:
                outcome.accept(source, job)
    if no_room is not None and not outcome.accepted:
        raise no_room  # all of it may be sent again
    return Response(outcome.text(), status_code=outcome.status, media_type=MEDIA_TYPE)


def _open(request: Request, held: Resources) -> Instances:
    knobs = held.settings
    check_declared(request.headers, knobs.stow_max_bytes)
    boundary = related_boundary(request.headers.get("content-type", ""), "application/dicom")
    body = BodyReader(request.receive, max_bytes=knobs.stow_max_bytes, timeout_s=knobs.stow_timeout_s)
    decoder = RelatedDecoder(boundary, max_parts=knobs.stow_max_instances)
    return Instances(body, decoder, knobs.max_upload_bytes)


async def _take(held: Resources, who: Caller, part: Instance, study: str | None) -> tuple[DicomSource, str]:
    """The image and the address of its job."""
    upload = ImageUpload(part, held.settings, who.tenant)
    await upload.begin()
    source = check_instance(upload.source, study)
    await held.run(_check_modality, held, source)
    ref = JobRef(who.tenant, new_job_id())
    admitted = await held.run(admit, held, ref, who)
    admitted.check()
    # Under the UID that is kept of it: of a de-identified copy's original nothing is written down.
    kept = upload.kept_source or source
    taken = await take_in(held, ref, upload, admitted, client_alias(kept.sop_instance_uid))
    return source, taken.job.links.self


def _check_modality(held: Resources, source: DicomSource) -> None:
    """BadUploadError where the model that would read it is known, and is not made for it."""
    offered = held.ledger.models()
    card = offered.cards.get(offered.default or "")
    if card is not None and source.modality not in json.loads(card)["modality"]:
        said = "The image's modality is not the model's."
        raise BadUploadError(said, code="modality_mismatch", status=422)
