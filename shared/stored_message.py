"""Messages as the blob store keeps them: JSON objects that a newer version of us may have written."""

from typing import TypeVar

from shared.blob_store import BlobStore
from shared.contracts import Message
from shared.errors import BlobMissingError

M = TypeVar("M", bound=Message)


def stored_message(blobs: BlobStore, path: str, kind: type[M]) -> M | None:
    """The message at `path`, None where there is none; fields that are not known here are passed over.

    BlobStoreUnavailableError; ValidationError where it is something else.
    """
    try:
        return kind.tolerant(blobs.get(path))
    except BlobMissingError:
        return None
