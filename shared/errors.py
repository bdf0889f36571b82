"""Every error MediScan raises on purpose.

    MediScanError
    ├── CallerError                    the request is at fault; a retry of the same cannot help
    │   ├── BadUploadError             the multipart body or the image in it
    │   ├── TooLargeError              over a limit on bytes
    │   ├── UnauthenticatedError       no API key, or none that is valid
    │   ├── ForbiddenError             a valid key that may not do this
    │   ├── BadKeyRequestError         an operator asks for an API key that cannot be made
    │   ├── NotFoundError              no such job, or not yours: the same answer
    │   ├── NotAcceptableError             none of the forms that the caller takes
    │   ├── ReusedError                a name that stands for another submission
    │   ├── ConflictError              the job's state does not allow it
    │   └── TooManyError               more than the caller may have now; later the same is welcome
    ├── ModelMissingError              a job names a model that the worker does not have; the job fails, no retry
    ├── ImageError                     an accepted image that cannot be read after all; the job fails, no retry
    ├── UnavailableError               a part of the house is away; a retry can help
    │   ├── LedgerUnavailableError
    │   │   └── LedgerRefusedError     it answered, and wrote nothing
    │   │       └── LedgerFullError    its memory is at the limit
    │   ├── BrokerUnavailableError
    │   ├── BlobStoreUnavailableError
    │   │   └── BlobStoreFullError
    │   └── HouseFullError             as many jobs or uploads as the house takes
    ├── BlobMissingError               a blob the ledger promised is not there, or is not what was stored
    └── SetupError                     start-up stops: one clear line, exit status 1

Library errors are converted at the boundary with `raise ... from`. `detail` is public: it never holds
metadata, file names, or anything else that could point at a patient.
"""


class MediScanError(Exception):
    """An error with a stable code, an HTTP status, and a sentence that may be shown to the caller."""

    code = "internal_error"
    status = 500
    title = "Something went wrong on our side"
    #: Whether the same request may succeed later.
    retryable = False
    #: How long the caller is then asked to wait.
    retry_after_s = 1.0

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.status = status or self.status
        self.retry_after_s = retry_after_s or self.retry_after_s


class CallerError(MediScanError):
    """The request is at fault."""

    code = "bad_request"
    status = 400
    title = "The request cannot be accepted"


class BadUploadError(CallerError):
    """The multipart body, or the image in it, is not what the endpoint takes."""

    code = "bad_upload"
    title = "The upload cannot be accepted"


class TooLargeError(CallerError):
    """The body is over the limit."""

    code = "body_too_large"
    status = 413
    title = "The upload is too large"


class UnauthenticatedError(CallerError):
    """Nobody knows the caller."""

    code = "bad_key"
    status = 401
    title = "An API key is needed"


class ForbiddenError(CallerError):
    """The caller is known, and may not do this."""

    code = "scope_missing"
    status = 403
    title = "This key may not do this"


class BadKeyRequestError(CallerError):
    """An API key cannot be made as it is asked for."""

    code = "bad_key_request"
    status = 422


class NotFoundError(CallerError):
    """There is no such thing, or it belongs to somebody else."""

    code = "not_found"
    status = 404
    title = "Not found"


class NotAcceptableError(CallerError):
    """There is such a thing, and in none of the forms that the caller takes."""

    code = "not_acceptable"
    status = 406
    title = "There is no such form of it"


class ReusedError(CallerError):
    """A name that makes a submission repeatable stands for another one already."""

    code = "idempotency_key_reused"
    status = 422


class ConflictError(CallerError):
    """The state of the job does not allow this."""

    code = "conflict"
    status = 409
    title = "The job's state does not allow this"


class TooManyError(CallerError):
    """The caller has, or asked for, as much as it may for now."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"
    retryable = True


class ImageError(MediScanError):
    """The image cannot be decoded or is of a kind we do not read. Final: another try gives the same."""

    code = "image_unreadable"
    status = 422
    title = "The image cannot be read"


class ModelMissingError(MediScanError):
    """The model a job asks for is not installed where it is to be read."""

    code = "model_not_installed"
    status = 422
    title = "The model is not installed"


class UnavailableError(MediScanError):
    """Something we depend on is away for the moment."""

    code = "unavailable"
    status = 503
    title = "Temporarily unavailable"
    retryable = True


class LedgerUnavailableError(UnavailableError):
    """The ledger cannot be read or written."""

    code = "ledger_unavailable"


class LedgerRefusedError(LedgerUnavailableError):
    """The ledger answered that it takes no writes for now: nothing was changed."""


class LedgerFullError(LedgerRefusedError):
    """The ledger's memory is at its limit. What is accepted goes on; it makes room as it ends."""

    code = "ledger_full"
    retry_after_s = 10.0


class BrokerUnavailableError(UnavailableError):
    """A message could not be published. The reaper will publish it."""

    code = "broker_unavailable"


class BlobStoreUnavailableError(UnavailableError):
    """The blob store cannot be read or written."""

    code = "blob_store_unavailable"


class BlobStoreFullError(BlobStoreUnavailableError):
    """The disk under the blob store has no room to spare."""

    code = "blob_store_full"
    retry_after_s = 60.0


class HouseFullError(UnavailableError):
    """The house holds as much work as it takes."""

    code = "house_full"


class BlobMissingError(MediScanError):
    """A stored object is gone, or its checksum is not the recorded one."""

    code = "stored_image_damaged"
    title = "The stored image is missing or altered"


class SetupError(MediScanError):
    """The service cannot start as it is set up."""

    code = "setup"
    title = "MediScan cannot start"
