"""Many images become jobs of one batch: all of them stored, then each recorded, then the batch. In this order.

While the body comes in nothing is recorded: one that breaks off, or fields that cannot be used, leave nothing behind.
Each item is admitted on its own before it is stored, and may be refused on its own. A batch that is sent again under
its `Idempotency-Key` takes the jobs that the first attempt made, however far that came.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from zipfile import ZipInfo

from services.gateway import intake
from services.gateway.admission import admit
from services.gateway.batch_archive import BatchArchive, too_many_items
from services.gateway.batch_form import ARCHIVE, ArchiveStream, BatchForm, OneEntry, OneOfMany
from services.gateway.batch_store import Batch, BatchItem, BatchStore
from services.gateway.caller import Caller
from services.gateway.logic import submission
from services.gateway.problems import as_problem
from services.gateway.repeats import repeatable
from services.gateway.resources import Resources
from services.gateway.upload import ImageUpload
from services.gateway.wishes import resolve
from shared.contracts import ImageFacts, Problem
from shared.errors import (
    BadUploadError,
    BlobStoreUnavailableError,
    CallerError,
    HouseFullError,
    MediScanError,
    ReusedError,
)
from shared.ledger import Admission, Alias, AliasKind, NewJob, Repeatable
from shared.names import BatchBlob, BatchRef, Blob, JobRef, batch_path, blob_path, new_batch_id, new_job_id

#: Stands for the images where all were refused: the fields are looked at all the same.
_NO_IMAGE = ImageFacts(media_type="image/png", sha256="", size_bytes=0, width=1, height=1)


@dataclass(frozen=True)
class TakenBatch:
    """The batch of a submission."""

    ref: BatchRef
    batch: Batch
    #: Whether it was made for this one; otherwise it was there before.
    is_new: bool


@dataclass
class _Item:
    """One file of the body."""

    ref: JobRef
    #: SHA-256 of the file, also of one that was refused.
    digest: str = ""
    #: None where it was refused.
    facts: ImageFacts | None = None
    problem: Problem | None = None
    admitted: Admission | None = None


@dataclass
class BatchIntake:
    """One batch being received. What is wrong with one image, or a limit, refuses that item; the rest, the batch."""

    held: Resources
    who: Caller
    form: BatchForm
    #: What the caller may repeat it under.
    key: str | None
    #: Of the first item: it was asked for before the body was read.
    first: Admission | None
    ref: BatchRef = field(init=False)
    _items: list[_Item] = field(init=False, default_factory=list)
    _archive: ArchiveStream | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.ref = BatchRef(self.who.tenant, new_batch_id())

    async def take_in(self) -> TakenBatch:
        """Receive, store and record: durable when this returns. After an error, send the same under the same key."""
        earlier = await self._earlier()
        try:
            await self._receive(is_repeated=earlier is not None)
            self._check_same(earlier)
            new = None if earlier else await self.held.run(self._wanted)
        except BaseException:
            await self._discard()
            raise
        if earlier is None:
            return await self._record(new)
        await self._discard()
        return earlier

    # --- receiving ----------------------------------------------------------------------------------------

    async def _receive(self, *, is_repeated: bool) -> None:
        while (kind := await self.form.next_file()) is not None:
            if self._archive is not None or (kind == ARCHIVE and self._items):
                raise BadUploadError(
                    "Send either images or one zip: not both, not two.", code="more_than_one_archive"
                )
            if kind == ARCHIVE:
                await self._store_archive()
            else:
                await self._next_image(is_repeated=is_repeated)
        if self._archive is not None and not is_repeated:
            await self._unpack()
        if not self._items and self._archive is None:
            raise BadUploadError("The batch holds no image.", code="empty_batch", status=422)

    async def _next_image(self, *, is_repeated: bool) -> None:
        if len(self._items) == self.held.settings.max_batch_items:
            raise too_many_items(self.held.settings.max_batch_items)
        item = self._begin()
        source = OneOfMany(self.form, self.held.settings.max_upload_bytes)
        if not is_repeated:
            await self._take(item, source)
        item.digest = await source.digest()

    async def _store_archive(self) -> None:
        if self.held.settings.dicom_store != "original":
            said = "A zip is kept as it is while it is unpacked, and here only de-identified copies are: send images."
            raise BadUploadError(said, code="archive_not_deidentified", status=415)
        self._archive = ArchiveStream(self.form)
        path = batch_path(self.ref, BatchBlob.ARCHIVE)
        await self.held.blobs.put_stream(path, self._archive.chunks())

    async def _unpack(self) -> None:
        settings, path = self.held.settings, batch_path(self.ref, BatchBlob.ARCHIVE)
        opened = await self.held.run(
            BatchArchive,
            self.held.blobs,
            path,
            max_items=settings.max_batch_items,
            max_bytes=settings.max_batch_bytes,
        )
        with opened as archive:
            for entry in archive.entries:
                await self._take(
                    self._begin(), OneEntry(self._pieces(archive, entry, settings.max_upload_bytes))
                )
        await self.held.run(self.held.blobs.delete, path)

    def _pieces(
        self, archive: BatchArchive, entry: ZipInfo, max_bytes: int
    ) -> Callable[[], Awaitable[bytes]]:
        unpacked = archive.unpacked(entry, max_bytes)

        async def next_piece() -> bytes:
            return await self.held.run(next, unpacked, b"")

        return next_piece

    def _begin(self) -> _Item:
        item = _Item(JobRef(self.who.tenant, new_job_id()))
        self._items.append(item)
        return item

    async def _take(self, item: _Item, source: OneOfMany | OneEntry) -> None:
        try:
            item.admitted = await self._admitted(item)
            item.facts = await self._store(item, source)
        except (CallerError, HouseFullError) as error:
            if source.broken is not None:
                raise
            await self._refuse(item, error)

    async def _refuse(self, item: _Item, error: MediScanError) -> None:
        item.problem = as_problem(error)
        if item.facts is not None:
            item.facts = None
            await self.held.run(self.held.blobs.delete, blob_path(item.ref, Blob.IMAGE))

    async def _admitted(self, item: _Item) -> Admission:
        admitted, self.first = self.first, None
        if admitted is None:
            admitted = await self.held.run(admit, self.held, item.ref, self.who)
        admitted.check()
        return admitted

    async def _store(self, item: _Item, source: OneOfMany | OneEntry) -> ImageFacts:
        upload = ImageUpload(source, self.held.settings, item.ref.tenant)
        path = blob_path(item.ref, Blob.IMAGE)
        head = await upload.begin()
        if upload.is_whole:
            facts = (await upload.finish()).image
            await self.held.run(self.held.blobs.put, path, head)
            return facts
        await self.held.blobs.put_stream(path, upload.chunks(head))
        await self.held.run(self.held.blobs.sync, path)
        if upload.submission is None:
            raise RuntimeError("the blob store ended before the image did")
        return upload.submission.image

    async def _discard(self) -> None:
        paths = [blob_path(item.ref, Blob.IMAGE) for item in self._items]
        with suppress(BlobStoreUnavailableError):
            await self.held.run(self.held.blobs.delete, *paths, batch_path(self.ref, BatchBlob.ARCHIVE))

    # --- recording ----------------------------------------------------------------------------------------

    async def _earlier(self) -> TakenBatch | None:
        return None if self.key is None else await self.held.run(self._known, self.key)

    def _known(self, key: str) -> TakenBatch | None:
        found = self.held.ledger.known(self.who.tenant, Alias(AliasKind.BATCH, key))
        if found is None:
            return None
        ref = BatchRef(self.who.tenant, found[0])
        batch = BatchStore(self.held.blobs).find(ref)
        return TakenBatch(ref, batch, is_new=False) if batch else None

    def _check_same(self, earlier: TakenBatch | None) -> None:
        if earlier is not None and earlier.batch.fingerprint != self._fingerprint():
            raise _reused()

    def _wanted(self) -> NewJob | None:
        """What each item asks for; None where all were refused. BadUploadError where the fields are not usable."""
        facts = next((item.facts for item in self._items if item.facts), None)
        wanted = submission(facts or _NO_IMAGE, self.form.fields, self.held.settings)
        repeatable(wanted, None)  # whether two wishes exclude each other
        return resolve(self.held, self.who.tenant, wanted) if facts else None

    async def _record(self, new: NewJob | None) -> TakenBatch:
        fingerprint = self._fingerprint()
        if self.key is not None:
            try:
                await self._take_name(self.key, fingerprint)
            except MediScanError:
                await self._discard()
                raise
        kept = [
            await self.held.run(self._record_one, index, item, new) for index, item in enumerate(self._items)
        ]
        batch = Batch(fingerprint=fingerprint, items=tuple(kept))
        batch = await self.held.run(BatchStore(self.held.blobs).keep_new, self.ref, batch)
        return TakenBatch(self.ref, batch, is_new=True)

    async def _take_name(self, key: str, fingerprint: str) -> None:
        """Where an attempt that came to no end has taken the key, it is that attempt's batch which is gone on with."""
        alias = Alias(AliasKind.BATCH, key)
        batch_id, known = await self.held.run(self.held.ledger.name_batch, self.ref, alias, fingerprint)
        if known != fingerprint:
            raise _reused()
        self.ref = BatchRef(self.who.tenant, batch_id)

    def _record_one(self, index: int, item: _Item, new: NewJob | None) -> BatchItem:
        if item.facts is None or item.admitted is None or new is None:
            return BatchItem(problem=item.problem)
        wanted = submission(item.facts, self.form.fields, self.held.settings)
        job = replace(
            new, image=wanted.image, gemini_skipped=wanted.gemini_skipped, batch_id=self.ref.batch_id
        )
        deduplicate = self.form.fields.get("deduplicate") == b"true"
        repeat = Repeatable(item.facts.sha256, self._alias(index), deduplicate)
        try:
            return BatchItem(job_id=intake.record(self.held, item.ref, job, item.admitted, repeat).id)
        except (HouseFullError, CallerError) as error:
            return BatchItem(problem=as_problem(error))

    def _alias(self, index: int) -> Alias | None:
        return None if self.key is None else Alias(AliasKind.BATCH_ITEM, f"{self.ref.batch_id}/{index}")

    def _fingerprint(self) -> str:
        return _fingerprint(
            self.form.fields,
            self._archive.digest() if self._archive else [item.digest for item in self._items],
        )


def _reused() -> ReusedError:
    return ReusedError("You sent this `Idempotency-Key` with another batch.")


def _fingerprint(fields: Mapping[str, bytes], files: str | list[str]) -> str:
    asked = {name: value.hex() for name, value in fields.items()} | {"files": files}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
