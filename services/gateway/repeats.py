"""A submission that comes again: with its `Idempotency-Key`, its client id, or over the same image.

Which job it is, is decided by the ledger in the step that would record it (`shared/ledger/lua/create.lua`). Here is
what surrounds that: what a request says about itself, and what an earlier job is worth as an answer.
"""

import hashlib
import json
from dataclasses import asdict

from fastapi import Request

from services.gateway import lookup
from services.gateway.logic import Submission
from services.gateway.resources import Resources
from shared.client_ids import ClientIds
from shared.contracts import JobView
from shared.errors import BadUploadError, CallerError, NotFoundError, ReusedError
from shared.ledger import Alias, AliasKind, Known, Repeatable
from shared.names import JobRef, is_client_id

_KEY_HEADER = "idempotency-key"
_LONGEST_KEY = 255


def idempotency_alias(request: Request) -> Alias | None:
    """The request's `Idempotency-Key`, if it has one; CallerError (400) where it cannot be one."""
    given = request.headers.getlist(_KEY_HEADER)
    if not given:
        return None
    key = given[0]
    if len(given) > 1 or not 1 <= len(key) <= _LONGEST_KEY or not all("!" <= sign <= "~" for sign in key):
        said = f"`Idempotency-Key` must be given once, with 1 to {_LONGEST_KEY} visible ASCII characters."
        raise CallerError(said, code="bad_idempotency_key")
    return Alias(AliasKind.IDEMPOTENCY, key)


def client_alias(client_id: str) -> Alias:
    """The caller's own id of a job; CallerError (422) where it cannot be one."""
    if not is_client_id(client_id):
        said = (
            "An id of yours is 1 to 64 letters, digits and . _ ~ -; it begins with no sign and not with job_."
        )
        raise CallerError(said, code="bad_client_id", status=422)
    return Alias(AliasKind.CLIENT, client_id)


def repeatable(wanted: Submission, alias: Alias | None) -> Repeatable:
    """How this submission is told from others: by everything the caller sent, and nothing that the house decided.

    BadUploadError (422) where two wishes exclude each other.
    """
    if wanted.deduplicate and alias is not None and alias.kind is AliasKind.CLIENT:
        said = "An id of yours is that of a job of its own: it does not go with `deduplicate`."
        raise BadUploadError(said, code="bad_deduplicate", status=422)
    if wanted.deduplicate and wanted.webhook is not None:
        said = "An earlier job tells whom it was asked to tell: `webhook_url` does not go with `deduplicate`."
        raise BadUploadError(said, code="bad_deduplicate", status=422)
    asked = asdict(wanted) | {"image": wanted.image.sha256}
    del asked["gemini_skipped"]
    if wanted.image.dicom is not None:
        asked["frame"] = wanted.image.dicom.frame
    if not wanted.burned_in_text:  # so that what was said without the word, before there was one, is the same
        del asked["burned_in_text"]
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return Repeatable(hashlib.sha256(canonical.encode()).hexdigest(), alias, wanted.deduplicate)


def earlier(resources: Resources, tenant: str, repeat: Repeatable) -> JobView | None:
    """The job that the submission's alias stands for already, so that nothing need be stored; ReusedError for another.

    None decides nothing: the ledger does. But a caller's own id that only the blob store remembers is found here alone.
    """
    if repeat.alias is None:
        return None
    found = resources.ledger.known(tenant, repeat.alias)
    if found is None and repeat.alias.kind is AliasKind.CLIENT:
        kept = ClientIds(resources.blobs).find(tenant, repeat.alias.text)
        found = (kept.job_id, kept.fingerprint) if kept else None
    if found is None:
        return None
    job_id, fingerprint = found
    return answer(resources, tenant, repeat, Known(job_id, is_same=fingerprint == repeat.fingerprint))


def answer(resources: Resources, tenant: str, repeat: Repeatable, known: Known) -> JobView | None:
    """The earlier job; None where it is gone, and its alias free. ReusedError where another was asked for then."""
    try:
        job = lookup.find(resources, JobRef(tenant, known.job_id))
    except NotFoundError:
        return None
    if not known.is_same and repeat.alias is not None:
        raise _reused(repeat.alias)
    return job


def _reused(alias: Alias) -> ReusedError:
    if alias.kind is AliasKind.CLIENT:
        return ReusedError("You gave this id to another submission.", code="client_id_reused")
    return ReusedError("You sent this `Idempotency-Key` with another submission.")
