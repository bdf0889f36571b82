"""The log of a delivery that has ended, beside the job's other objects, and gone with them."""

from shared.blob_store import BlobStore
from shared.contracts import Delivery, DeliveryTarget, Message
from shared.names import Blob, JobRef, blob_path
from shared.stored_message import stored_message

_BLOBS = {DeliveryTarget.WEBHOOK: Blob.DELIVERY, DeliveryTarget.PACS: Blob.EXPORT}


class StoredDelivery(Message):
    """A delivery that has ended, with what it takes to send it again."""

    url: str
    delivery: Delivery


def keep(blobs: BlobStore, ref: JobRef, ended: StoredDelivery) -> None:
    """Store the log, durably, in place of an earlier one."""
    blobs.put(blob_path(ref, _BLOBS[ended.delivery.target]), ended.model_dump_json().encode())


def kept(
    blobs: BlobStore, ref: JobRef, target: DeliveryTarget = DeliveryTarget.WEBHOOK
) -> StoredDelivery | None:
    """The log; None where no delivery has ended."""
    return stored_message(blobs, blob_path(ref, _BLOBS[target]), StoredDelivery)
